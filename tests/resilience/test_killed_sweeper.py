"""However often who removes old contents is killed, no blob is left without a row."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.projections.past import Past, a_hundred_days

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]


async def swept(database: Database, folder: Path, *, deletions: int) -> int:
    """Apply the retention until so many blobs are gone; return how that ended."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.resilience.sweeper"),
        *(database.dsn, database.migration_dsn, str(folder), str(deletions)),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src:."},
    )
    return await process.wait()


async def named(past: Past, store: PostgresEventStore) -> set[str]:
    """Return the addresses that rows of contents and archives name."""
    async with past.database.pool.connection() as connection:
        rows = await connection.execute("SELECT address FROM es.contents")
        found = {address for (address,) in await rows.fetchall()}
    history = ArchivedEventStore(store, past.database, past.blobs)
    for archive in await history.archives():
        manifest = await history._shelf.manifest(archive)
        found |= {archive.address, *(chunk.address for chunk in manifest.chunks)}
        found |= {page.address for page in manifest.pages}
    return found


async def test_a_killed_sweeper_leaves_no_blob_behind(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "blobs"
    store = PostgresEventStore(database)
    await store.start()
    try:
        past = Past(store, database, LocalBlobs(folder))
        await a_hundred_days(past)
        before = await past.contents()

        killed = 0
        while ended := await swept(database, folder, deletions=killed):
            assert ended == -signal.SIGKILL
            killed += 1

        left = await past.contents()
        addresses = await named(past, store)
    finally:
        await store.stop()
    files = {path.name for path in (folder / "sha256").rglob("*") if path.is_file()}
    assert files == addresses
    assert left < before
    # In messages, builds, results, and in what was archived.
    assert killed > 4
