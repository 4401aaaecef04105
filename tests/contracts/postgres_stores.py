"""Event stores on PostgreSQL as tests of the writer want them: limited, held up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection

from infrastructure.event_store.statements import LOCK_KEYS
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import Limits
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import KEYRING


@asynccontextmanager
async def opened(
    database: Database, limits: Limits | None = None
) -> AsyncIterator[PostgresEventStore]:
    keys = PostgresSubjectKeys(database, KEYRING)
    store = PostgresEventStore(database, keys, limits=limits)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[None]:
    """Hold the core log's lock, as another server's writer would."""
    async with await AsyncConnection.connect(database.dsn) as connection:
        await connection.execute(
            "SELECT pg_advisory_xact_lock(%s)", [LOCK_KEYS["core"]]
        )
        yield


async def stuck(database: Database) -> None:
    """Wait until somebody waits for a lock: then a save is under way."""
    async with (
        await AsyncConnection.connect(database.dsn, autocommit=True) as connection,
        asyncio.timeout(30),
    ):
        while True:
            waiting = await connection.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                " AND datname = current_database()"
            )
            if waiting.rowcount:
                return
            await asyncio.sleep(0.005)
