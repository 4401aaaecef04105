"""What every blob store must do: a directory, and a real S3."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from application.ports import Blobs, BlobsAwayError, ContentMissingError
from infrastructure.blobs.local import LocalBlobs
from infrastructure.blobs.s3 import BucketError, S3Blobs
from tests.servers import S3Server


@pytest.fixture(
    params=["local", pytest.param("s3", marks=[pytest.mark.server, pytest.mark.slow])]
)
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "local":
        yield LocalBlobs(tmp_path / "blobs")
        return
    store = _s3(request.getfixturevalue("s3"))
    yield store
    store.close()


def _s3(server: S3Server, *, bucket: str | None = None) -> S3Blobs:
    return S3Blobs(
        bucket or server.bucket,
        endpoint_url=server.endpoint_url,
        region="us-east-1",
        access_key=server.access_key,
        secret_key=server.secret_key,
    )


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 3 * 1024 * 1024])
async def test_what_was_put_can_be_got(blobs: Blobs, size: int) -> None:
    data = os.urandom(size)

    assert await blobs.get(await blobs.put(data)) == data


async def test_the_address_is_the_digest_of_the_bytes(blobs: Blobs) -> None:
    address = await blobs.put(b"abc")

    assert address.startswith("ba7816bf8f01cfea414140de5dae2223")


async def test_putting_the_same_twice_changes_nothing(blobs: Blobs) -> None:
    assert await blobs.put(b"same") == await blobs.put(b"same")


async def test_what_was_deleted_is_missing(blobs: Blobs) -> None:
    address = await blobs.put(os.urandom(32))

    await blobs.delete(address)

    with pytest.raises(ContentMissingError):
        await blobs.get(address)


async def test_deleting_what_is_gone_changes_nothing(blobs: Blobs) -> None:
    await blobs.delete("0" * 64)


@pytest.mark.parametrize("address", ["", "../../etc/passwd", "/etc/passwd", "A" * 64])
async def test_what_is_no_address_names_nothing(blobs: Blobs, address: str) -> None:
    with pytest.raises(ContentMissingError):
        await blobs.get(address)
    await blobs.delete(address)


async def test_a_file_is_whole_or_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = LocalBlobs(tmp_path)

    def disk_full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", disk_full)
        with pytest.raises(BlobsAwayError):
            await blobs.put(b"abc")

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.server
@pytest.mark.slow
async def test_a_bucket_that_does_not_exist_is_told_at_start(s3: S3Server) -> None:
    blobs = _s3(s3, bucket="nowhere")

    with pytest.raises(BucketError, match="nowhere"):
        await blobs.check()

    blobs.close()


@pytest.mark.server
@pytest.mark.slow
async def test_a_bucket_that_exists_answers(s3: S3Server) -> None:
    blobs = _s3(s3)

    await blobs.check()

    blobs.close()


PART = 8 * 1024 * 1024


async def pieces(data: bytes, *, size: int = 300_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def got(blobs: Blobs, address: str, **part: int) -> bytes:
    return b"".join([piece async for piece in blobs.stream(address, **part)])


@pytest.mark.parametrize("size", [0, 1, 3 * 1024 * 1024, PART, 2 * PART + 1])
async def test_what_came_in_pieces_is_a_blob_like_any_other(
    blobs: Blobs, size: int
) -> None:
    data = os.urandom(size)

    arrival = await blobs.receive(pieces(data))
    assert (arrival.address, arrival.size) == (sha256(data).hexdigest(), size)
    if size:  # others have put nothing before
        with pytest.raises(ContentMissingError):
            await got(blobs, arrival.address)
    await blobs.accept(arrival)

    assert await blobs.get(arrival.address) == data
    assert await got(blobs, arrival.address) == data
    assert await blobs.left_over(before=datetime.now(UTC) + timedelta(hours=1)) == {}


@pytest.mark.parametrize(
    ("start", "end"), [(0, 10), (5, 6), (1_500_000, 1_700_000), (2_999_990, None)]
)
async def test_a_part_of_a_blob_can_be_streamed(
    blobs: Blobs, start: int, end: int | None
) -> None:
    data = os.urandom(3_000_000)
    address = await blobs.put(data)

    found = [piece async for piece in blobs.stream(address, start=start, end=end)]

    assert b"".join(found) == data[start:end]
    assert max(map(len, found)) <= 1024 * 1024


async def test_what_is_refused_leaves_nothing(blobs: Blobs) -> None:
    arrival = await blobs.receive(pieces(os.urandom(100)))

    await blobs.refuse(arrival)
    await blobs.refuse(arrival)

    assert await blobs.left_over(before=datetime.now(UTC) + timedelta(hours=1)) == {}
    with pytest.raises(ContentMissingError):
        await got(blobs, arrival.address)


class BrokenOffError(Exception):
    """Whoever sent the bytes went away."""


@pytest.mark.parametrize("size", [100, PART + 100])
async def test_what_is_broken_off_leaves_nothing(blobs: Blobs, size: int) -> None:
    async def broken_off() -> AsyncIterator[bytes]:
        async for piece in pieces(os.urandom(size)):
            yield piece
        raise BrokenOffError

    with pytest.raises(BrokenOffError):
        await blobs.receive(broken_off())

    soon = datetime.now(UTC) + timedelta(hours=1)
    async with asyncio.timeout(30):
        while await blobs.left_over(before=soon):  # S3 is told in the background
            await asyncio.sleep(0.01)


async def test_what_nobody_decided_on_is_swept_once_it_is_old(blobs: Blobs) -> None:
    arrival = await blobs.receive(pieces(b"abc"))
    now = datetime.now(UTC)

    assert await blobs.left_over(before=now - timedelta(hours=1)) == {}
    left = await blobs.left_over(before=now + timedelta(hours=1))
    assert left == {arrival.place: 3}
    await blobs.sweep(left)

    assert await blobs.left_over(before=now + timedelta(hours=1)) == {}


@pytest.mark.server
@pytest.mark.slow
async def test_an_upload_that_a_killed_server_left_is_swept(s3: S3Server) -> None:
    blobs = _s3(s3)
    where = {"Bucket": s3.bucket, "Key": "arriving/half"}
    begun = blobs._client.create_multipart_upload(**where)
    blobs._client.upload_part(
        **where, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * PART
    )

    soon = datetime.now(UTC) + timedelta(hours=1)
    left = await blobs.left_over(before=soon)
    assert len(left) == 1
    await blobs.sweep(left)

    assert await blobs.left_over(before=soon) == {}
    blobs.close()


async def _bytes() -> AsyncIterator[bytes]:
    yield b"some"


async def test_a_disk_that_is_gone_is_away(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    (tmp_path / "blobs" / "arriving").rmdir()
    (tmp_path / "blobs" / "arriving").write_text("no directory")

    with pytest.raises(BlobsAwayError):
        await blobs.put(b"some")
    with pytest.raises(BlobsAwayError):
        await blobs.receive(_bytes())


@pytest.mark.slow
async def test_a_server_that_is_gone_is_away() -> None:
    blobs = S3Blobs(
        "b", endpoint_url="http://127.0.0.1:9", access_key="a", secret_key="s"
    )

    with pytest.raises(BlobsAwayError):
        await blobs.put(b"some")
    blobs.close()
