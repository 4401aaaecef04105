"""A process that archives old months, and may be killed at any line of it."""

import asyncio
import sys
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from infrastructure.archive import leaving
from infrastructure.archive.archiver import Archiver
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import because
from tests.infrastructure.evidence_room import KEYS

LONG_AFTER = datetime(2025, 12, 1, tzinfo=UTC)


async def nothing(_: Sequence[UUID]) -> Collection[UUID]:
    return ()


async def archive(dsn: str, migration_dsn: str, folder: str) -> None:
    leaving.COMPACTED = 500
    database = await Database.open(dsn, migration_dsn=migration_dsn)
    store = PostgresEventStore(database)
    await store.start()
    archiver = Archiver(
        database, store, LocalBlobs(Path(folder)), KEYS.sign_history, nothing
    )
    try:
        await archiver.finish(cause=because())
        while await archiver.compact(before=LONG_AFTER, cause=because()):
            pass
        for candidate in await archiver.candidates(before=LONG_AFTER):
            assert candidate.stays is None, candidate.stays
            await archiver.archive(candidate, cause=because())
    finally:
        await store.stop()
        await database.close()


if __name__ == "__main__":
    asyncio.run(archive(*sys.argv[1:]))
