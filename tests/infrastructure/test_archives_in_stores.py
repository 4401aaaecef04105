"""An archive is the same on the server's disk as in a bucket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from application.ports import Blobs
from domain.run.run import Run
from infrastructure.archive import leaving
from infrastructure.blobs.local import LocalBlobs
from infrastructure.blobs.s3 import S3Blobs
from tests.contracts.event_stores import because
from tests.infrastructure.archiving import LONG_AFTER, Store
from tests.infrastructure.evidence_room import Room
from tests.servers import S3Server

pytestmark = pytest.mark.server


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Blobs]:
    if request.param == "local":
        yield LocalBlobs(tmp_path / "elsewhere")
        return
    server: S3Server = request.getfixturevalue("s3")
    bucket = S3Blobs(
        server.bucket,
        endpoint_url=server.endpoint_url,
        region="us-east-1",
        access_key=server.access_key,
        secret_key=server.secret_key,
    )
    yield bucket
    bucket.close()


async def test_a_month_goes_is_listed_fetched_replayed_and_verified(
    room: Room, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several files each of events and streams, as a real month has.
    monkeypatch.setattr("infrastructure.archive.writing.MOST_EVENTS", 4)
    monkeypatch.setattr(leaving, "PAGE", 3)
    monkeypatch.setattr(leaving, "STREAMS", 2)
    room.blobs = blobs
    kept = Store(room)
    runs = await kept.month()
    log = await room.store.read_log("runs")
    of_last = await room.store.read_stream("runs", runs[2])

    archive = await kept.move()

    [shelved] = await kept.archived.archives()
    assert (shelved.id, shelved.digest) == (archive.id, archive.digest)
    listed = await kept.archived.streams(archive, limit=10)
    assert [one.stream for one in listed] == runs
    assert await kept.archived.archived(runs[2]) == of_last
    assert (await kept.archived.load(Run, runs[1])).reason == "worker-lost"
    assert await kept.archived.read_log("runs") == log
    assert not await kept.archiver.finish(cause=because())
    _, told = await room.evidence.verify()
    assert (told.found, told.archived, told.events) == (0, 12, 16)

    manifest = await kept.archiver._shelf.manifest(archive)
    assert len(manifest.chunks) > 1
    await blobs.delete(manifest.chunks[1].address)

    _, told = await room.evidence.verify()
    assert told.found
    assert told.findings[0].position == manifest.chunks[1].first
    assert not await kept.archiver.candidates(before=LONG_AFTER)
