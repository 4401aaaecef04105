"""A process that leads the probe's projection until it is killed."""

import asyncio
import sys

from infrastructure.event_store.listener import Listener
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from projections.daemon import Daemon
from tests.contracts.event_stores import KEYRING
from tests.projections.probe import Probe


async def lead(dsn: str) -> None:
    database = await Database.open(dsn, pool_size=3)
    store = PostgresEventStore(database, PostgresSubjectKeys(database, KEYRING))
    await store.start()
    listener = Listener(dsn)
    await listener.start()
    daemon = Daemon(database, store, [Probe()], listener, interval=0.1)
    await daemon.start()
    while not daemon.leads("probe"):
        await asyncio.sleep(0.01)
    sys.stdout.write("leads\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(lead(sys.argv[1]))
