"""Files by the client: in pieces both ways, over lines good and bad."""

import io
import random
from pathlib import Path
from typing import Any, BinaryIO, cast, override
from uuid import uuid4

import pytest

from langbuilder import ConfigurationError, File, NotFoundError
from tests.langbuilder.conftest import KINDS
from tests.langbuilder.hands import Hand, line_to
from tests.langbuilder.test_lines import IMPATIENT, at_first

SIZE = 3_000_000


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file that is larger than a piece."""
    path = tmp_path / f"ú {uuid4().hex[:6]}.bin"
    path.write_bytes(random.Random(7).randbytes(SIZE))
    return path


async def test_a_file_goes_there_and_back(hand: Hand, picture: Path) -> None:
    files = hand.client.files
    sent: list[tuple[int, int | None]] = []
    got: list[tuple[int, int | None]] = []

    file: File = await hand.do(
        files.upload, picture, progress=lambda *told: sent.append(told)
    )
    back = await hand.do(
        files.download,
        file,
        picture.parent / "back.bin",
        progress=lambda *told: got.append(told),
    )

    assert back.read_bytes() == picture.read_bytes()
    assert file.size == SIZE
    assert sent[-1] == got[-1] == (SIZE, SIZE)
    assert len(sent) > 5
    listed = {one.id: one for one in await hand.do(files.list)}
    assert listed[file.id].path == file.path
    assert listed[file.id].created_at
    assert await hand.do(files.read, file.id) == picture.read_bytes()
    renamed = await hand.do(files.rename, file, f"not {file.name}")
    assert (renamed.name, renamed.path) == (f"not {file.name}", file.path)
    await hand.do(files.delete, file)
    with pytest.raises(NotFoundError, match="File not found"):
        await hand.do(files.download, file, picture.parent / "gone.bin")
    assert not (picture.parent / "gone.bin").exists()


async def test_bytes_and_open_files_are_sent_from_where_they_stand(
    hand: Hand, picture: Path
) -> None:
    files = hand.client.files
    name = f"{uuid4().hex}.txt"
    part = io.BytesIO(b"not this, but this")
    part.seek(10)

    by_bytes = await hand.do(files.upload, b"bytes", name=name)
    by_part = await hand.do(files.upload, part, name=name)
    with picture.open("rb") as opened:
        by_file = await hand.do(files.upload, opened)

    assert await hand.do(files.read, by_bytes) == b"bytes"
    assert await hand.do(files.read, by_part) == b"but this"
    assert by_bytes.name != by_part.name
    assert by_file.size == SIZE
    assert by_file.name == picture.stem


async def test_a_river_is_sent_as_it_flows(hand: Hand) -> None:
    class River(io.RawIOBase):
        """Bytes that come once, nobody knows how many."""

        left = 600_000

        @override
        def readable(self) -> bool:
            return True

        @override
        def readinto(self, buffer: Any) -> int:
            size = min(len(buffer), self.left)
            buffer[:size] = b"x" * size
            self.left -= size
            return size

    told: list[tuple[int, int | None]] = []
    file = await hand.do(
        hand.client.files.upload,
        cast("BinaryIO", River()),
        name="river.txt",
        progress=lambda *one: told.append(one),
    )

    assert file.size == 600_000
    assert told[-1] == (600_000, None)


async def test_text_files_are_to_be_opened_as_bytes(hand: Hand, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("text")
    with path.open() as opened, pytest.raises(ConfigurationError, match="mode 'rb'"):
        await hand.do(hand.client.files.upload, opened)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_upload_whose_answer_is_lost_is_one_file(
    kind: str, address: str, key: str, picture: Path
) -> None:
    async with line_to(address, at_first(2, 5)) as (line, near):
        far = Hand(KINDS[kind](near, api_key=key, retries=IMPATIENT))
        file = await far.do(far.client.files.upload, picture)
        assert line.cuts == 2
        listed = await far.do(far.client.files.list)
        await far.close()

    assert [one.id for one in listed if one.name.startswith(picture.stem)] == [file.id]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_download_that_is_cut_goes_on_where_it_was(
    kind: str, address: str, key: str, picture: Path
) -> None:
    got: list[int] = []
    async with line_to(address, at_first(4, SIZE // 3)) as (line, near):
        far = Hand(KINDS[kind](near, api_key=key, retries=IMPATIENT))
        file = await far.do(far.client.files.upload, picture)
        back = await far.do(
            far.client.files.download,
            file,
            picture.parent / "back.bin",
            progress=lambda done, _: got.append(done),
        )
        await far.close()
        assert line.cuts >= 3

    assert back.read_bytes() == picture.read_bytes()
    # It never began again.
    assert got == sorted(got)
    assert {one.name for one in picture.parent.iterdir()} == {picture.name, back.name}
