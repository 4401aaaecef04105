"""A process that archives old months, and is killed soon after its n-th blob."""

import asyncio
import os
import random
import signal
import sys
import threading
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import override
from uuid import UUID

from infrastructure.archive import leaving
from infrastructure.archive.archiver import Archiver
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import because
from tests.infrastructure.evidence_room import KEYS

LONG_AFTER = datetime(2025, 12, 1, tzinfo=UTC)
SOON = 0.03
"""Seconds: enough for what follows a blob, so that death can come at any line of it."""


class DeadlyBlobs(LocalBlobs):
    """Keeps as many as it may; soon after the next, the process is killed."""

    def __init__(self, root: Path, *, writes: int) -> None:
        super().__init__(root)
        self.left = writes

    @override
    async def put(self, content: bytes) -> str:
        if self.left < 0:  # a quick machine gets no further than a slow one
            await asyncio.Event().wait()
        if not self.left:
            death = threading.Timer(
                random.uniform(0, SOON), os.kill, (os.getpid(), signal.SIGKILL)
            )
            death.start()
        self.left -= 1
        return await super().put(content)


async def nothing(_: Sequence[UUID]) -> Collection[UUID]:
    return ()


async def archive(dsn: str, migration_dsn: str, folder: str, writes: str) -> None:
    leaving.COMPACTED = 500
    database = await Database.open(dsn, migration_dsn=migration_dsn)
    store = PostgresEventStore(database)
    await store.start()
    blobs = DeadlyBlobs(Path(folder), writes=int(writes))
    archiver = Archiver(database, store, blobs, KEYS.sign_history, nothing)
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
