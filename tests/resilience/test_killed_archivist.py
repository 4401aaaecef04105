"""However often who archives is killed, each event is in the log or in an archive."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from application.ports import Recorded
from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.infrastructure.evidence_room import Room

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).parents[2]
MONTHS = 4
EVENTS = 6000
"""In each month, and in threads."""

FILL = """
INSERT INTO es.runs_events (originator_id, originator_version, topic, schema_version,
    state, metadata, recorded_at)
SELECT ({stream})::uuid, i % 20 + 1, {topic}, 1,
    convert_to('{{"$tag":"x","n":"' || repeat(i::text, 20) || '"}}', 'UTF8'),
    '{{}}', '2025-08-01'
FROM generate_series(0, {last}) AS i
"""


async def fill(room: Room) -> None:
    for month in range(1, MONTHS + 1):
        await room.tamper(
            f"CREATE TABLE es.runs_events_2025_{month:02} PARTITION OF es.runs_events"
            f" FOR VALUES FROM (es.first_id_at('2025-{month:02}-01Z'))"
            f" TO (es.first_id_at('2025-{month + 1:02}-01Z'))"
        )
        at = f"es.first_id_at('2025-{month:02}-10Z')::text"
        stream = f"substr({at}, 1, 24) || substr(md5((i / 20)::text), 1, 12)"
        topic = "CASE WHEN i % 20 = 19 THEN 'run.succeeded' ELSE 'run.claimed' END"
        await room.tamper(FILL.format(stream=stream, topic=topic, last=EVENTS - 1))
    thread = "'ff' || substr(md5((i / 20)::text), 1, 30)"
    topic = "CASE WHEN i % 20 = 0 THEN 'thread.opened' ELSE 'thread.message_posted' END"
    await room.tamper(FILL.format(stream=thread, topic=topic, last=EVENTS - 1))
    await room.seal(largest=700)


async def everything(store: ArchivedEventStore | PostgresEventStore) -> list[Recorded]:
    found: list[Recorded] = []
    while page := await store.read_log(
        "runs", after=found[-1].position if found else 0, limit=5000
    ):
        found += page
    return found


async def archivist(database: Database, folder: Path, *, writes: int) -> int:
    """Archive until soon after so many blobs are written; return how that ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.resilience.archivist"),
        *(database.dsn, database.migration_dsn, str(folder), str(writes)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src:."},
    )
    return await process.wait()


async def archive_under_fire(room: Room, folder: Path) -> int:
    """Archive everything; return how often that was killed before it was done."""
    killed = 0
    while ended := await archivist(room.database, folder, writes=killed):
        assert ended == -signal.SIGKILL
        killed += 1
        _, runs = await room.evidence.verify()
        assert not runs.findings
    return killed


async def test_a_killed_archivist_loses_and_doubles_nothing(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "blobs"
    store = PostgresEventStore(database)
    room = Room(database, store, LocalBlobs(folder))
    await fill(room)
    before = await everything(store)
    assert len(before) == (MONTHS + 1) * EVENTS
    killed = await archive_under_fire(room, folder)

    archived = ArchivedEventStore(store, database, room.blobs)
    assert await everything(archived) == before
    _, runs = await room.evidence.verify()
    assert not runs.findings
    archives = [one.id for one in await archived.archives()]
    records = await room.ask(
        "SELECT originator_id FROM es.core_events"
        " WHERE topic = 'operation.runs_archived'"
    )
    assert sorted(one for (one,) in records) == sorted(archives)
    assert len(archives) == len(set(archives)) > MONTHS
    live = {one.stream for one in await everything(store)}
    assert all(one.int >> 120 == 0xFF for one in live)
    # In compacting, and in each month.
    assert killed > MONTHS
