"""What every blob store must do: a directory, and a real S3."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.ports import Blobs, ContentMissingError
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
        with pytest.raises(OSError, match="No space"):
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
