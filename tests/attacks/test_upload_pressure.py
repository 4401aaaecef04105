"""Uploads where there is no room: too many at once, a full disk, a store that goes."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from api import uploads
from api.composition import Application
from application import underway
from application.ports import Blobs
from application.upload_room import UploadRoom
from infrastructure.blobs import s3 as bucket
from infrastructure.blobs.local import LocalBlobs
from infrastructure.blobs.s3 import S3Blobs
from tests.api.conftest import Join, Person
from tests.api.test_files_swept import a_day_later
from tests.attacks.doors import tells_nothing
from tests.attacks.test_files import FILE, form
from tests.servers import S3Server, small_disk

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
async def joined(join: Join) -> Person:
    return await join("eve")


@pytest.fixture
async def eve(joined: Person) -> Person:
    """Somebody without any file."""
    assert (await joined.delete("/api/v2/files")).status_code == 200
    return joined


@pytest.fixture
def room(application: Application, monkeypatch: pytest.MonkeyPatch) -> UploadRoom:
    """Room for three uploads at once, two of one person."""
    room = UploadRoom(at_once=3, of_one_person=2)
    monkeypatch.setattr(application.world.uploads, "room", room)
    monkeypatch.setattr(uploads, "LINGER_SECONDS", 0.1)
    return room


@asynccontextmanager
async def begun(person: Person) -> AsyncIterator[asyncio.StreamReader]:
    """Send the beginning of a file, and nothing more; yield what comes back."""
    where = person.base_url
    reader, line = await asyncio.open_connection(where.host, where.port)
    line.write(
        f"POST /api/v2/files HTTP/1.1\r\nHost: {where.host}\r\n"
        f"Authorization: Bearer {person.token}\r\nContent-Length: 5000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
    )
    line.write(form(FILE, end=False))
    try:
        yield reader
    finally:
        line.close()


async def until(room: UploadRoom, taken: int) -> None:
    async with asyncio.timeout(10):
        while room.taken != taken:
            await asyncio.sleep(0.01)


async def test_a36_nobody_sends_more_than_so_many_files_at_once(
    eve: Person, bob: Person, ada: Person, room: UploadRoom, application: Application
) -> None:
    file = {"file": ("a.txt", b"abc")}
    async with AsyncExitStack() as coming:
        for number in (1, 2):
            await coming.enter_async_context(begun(eve))
            await until(room, number)

        mine = await eve.post("/api/v2/files", files=file)
        theirs = await bob.post("/api/v2/files", files=file)
        await coming.enter_async_context(begun(bob))
        await until(room, 3)
        nobodys = await ada.post("/api/v2/files", files=file)

    assert (mine.status_code, mine.headers["retry-after"]) == (429, "1")
    assert (nobodys.status_code, nobodys.headers["retry-after"]) == (503, "1")
    for refused in (mine, nobodys):
        tells_nothing(refused.text)
        assert "files" in refused.json()["detail"]
    assert theirs.status_code == 201
    await until(room, 0)
    assert (await eve.post("/api/v2/files", files=file)).status_code == 201
    assert [one["name"] for one in (await eve.get("/api/v2/files")).json()] == ["a"]
    arriving = application.world.settings.data_path / "blobs" / "arriving"
    assert list(arriving.iterdir()) == []


async def test_a36_who_stops_sending_gives_up_their_room(
    eve: Person, room: UploadRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE", 0.1)
    for _ in range(3):  # more than there is room for, one after the other
        async with begun(eve) as back, asyncio.timeout(10):
            assert b" 408 " in await back.readline()
        assert room.taken == 0

    answer = await eve.post("/api/v2/files", files={"file": ("a.txt", b"abc")})
    assert answer.status_code == 201


@pytest.fixture
def small(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Blobs, Path]]:
    """The same server with its files on a disk of four megabytes."""
    with small_disk(4) as disk:
        blobs = LocalBlobs(disk)
        monkeypatch.setattr(application.world.uploads._bytes, "_blobs", blobs)
        yield blobs, disk


async def nothing_is_kept(eve: Person, application: Application) -> None:
    world, owner = application.world, UUID(eve.id)
    assert await underway.arriving(world.claims, owner) == 0
    assert await world.uploads._bytes.held(owner) == 0
    assert (await eve.get("/api/v2/files")).json() == []


async def test_a36_a_full_disk_is_told_and_keeps_nothing(
    eve: Person, application: Application, small: tuple[Blobs, Path]
) -> None:
    _, disk = small
    for size in (6 * MEGABYTE, 4 * MEGABYTE):  # amid it all, or only once it is sealed
        answer = await eve.post("/api/v2/files", files={"file": ("a.bin", b"x" * size)})

        assert answer.status_code == 507, answer.text
        assert "no room left" in answer.json()["detail"]
        assert "retry-after" not in answer.headers
        tells_nothing(answer.text)
        assert [path for path in disk.rglob("*") if path.is_file()] == []
    await nothing_is_kept(eve, application)
    assert await application.world.claims.taken("blob", f"{eve.id}/") == []

    small_one = {"file": ("a.bin", b"x" * MEGABYTE)}
    kept = await eve.post("/api/v2/files", files=small_one)
    got = await eve.get(f"/api/v2/files/{kept.json()['id']}")
    assert (kept.status_code, got.content) == (201, b"x" * MEGABYTE)
    await eve.delete("/api/v2/files")  # while its bytes can be found


class Line:
    """A line to a store, that is cut as soon as some words go over it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: set[asyncio.StreamWriter] = set()
        self.cut_at: bytes | None = None
        self.cut = False

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._lead, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            self._hang_up()

    async def _lead(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._open.add(writer)
        if self.cut:
            self._hang_up()
            return
        away, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._open.add(back)
        await asyncio.gather(
            self._pump(reader, back, heard=True), self._pump(away, writer)
        )

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        heard: bool = False,
    ) -> None:
        passed = b""
        try:
            while data := await reader.read(65_536):
                passed = passed[-64:] + data
                if heard and self.cut_at and self.cut_at in passed:
                    self.cut = True
                    self._hang_up()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # as a line that is cut does
        finally:
            writer.close()

    def _hang_up(self) -> None:
        for writer in self._open:
            writer.close()
        self._open.clear()


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.parametrize(
    "amid", [b"partNumber=2", b"PUT /blobs/sha256/"], ids=["as it comes", "at last"]
)
async def test_a36_a_store_that_goes_is_told_and_keeps_nothing(
    eve: Person,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    s3: S3Server,
    amid: bytes,
) -> None:
    monkeypatch.setattr(bucket, "TRIES", 1)
    line = Line(int(s3.endpoint_url.rpartition(":")[2]))
    async with line.laid() as address:
        blobs = S3Blobs(
            s3.bucket,
            endpoint_url=address,
            access_key=s3.access_key,
            secret_key=s3.secret_key,
        )
        before = await there(blobs)
        for holder in (application.world.uploads._bytes, application.world.retention):
            monkeypatch.setattr(holder, "_blobs", blobs)
        line.cut_at = amid
        file = {"file": ("a.bin", b"x" * (9 * MEGABYTE))}

        answer = await eve.post("/api/v2/files", files=file)

        assert line.cut
        assert answer.status_code == 503, answer.text
        assert answer.headers["retry-after"] == "1"
        assert "try again" in answer.json()["detail"]
        tells_nothing(answer.text)
        await nothing_is_kept(eve, application)
        line.cut_at, line.cut = None, False
        await a_day_later(application)
        soon = datetime.now(UTC) + timedelta(hours=1)
        assert await blobs.left_over(before=soon) == {}
        assert await there(blobs) == before
        assert await application.world.claims.taken("blob", f"{eve.id}/") == []
        assert (await eve.post("/api/v2/files", files=file)).status_code == 201
        await eve.delete("/api/v2/files")  # while its bytes can be found
        blobs.close()


async def there(blobs: S3Blobs) -> set[str]:
    """Return the names of all blobs."""
    found = await asyncio.to_thread(
        blobs._client.list_objects_v2, Bucket=blobs._bucket, Prefix="sha256/"
    )
    return {one["Key"] for one in found.get("Contents", ())}
