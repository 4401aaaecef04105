"""A process that applies the retention, and dies at its n-th deletion of a blob."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import override

from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.projections.past import CAUSE, Past


class DeadlyBlobs(LocalBlobs):
    """Deletes as many as it may, and is killed at the next."""

    def __init__(self, root: Path, *, deletions: int) -> None:
        super().__init__(root)
        self.left = deletions

    @override
    async def delete(self, address: str) -> None:
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        await super().delete(address)


async def sweep(dsn: str, migration_dsn: str, folder: str, deletions: str) -> None:
    database = await Database.open(dsn, migration_dsn=migration_dsn)
    store = PostgresEventStore(database)
    await store.start()
    blobs = DeadlyBlobs(Path(folder), deletions=int(deletions))
    try:
        await Past(store, database, blobs).retention.apply(cause=CAUSE)
    finally:
        await store.stop()
        await database.close()


if __name__ == "__main__":
    asyncio.run(sweep(*sys.argv[1:]))
