"""Where facts are told: a log in memory, with rows in a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.projections.journal import Journal


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(MemoryEventStore(), database)


@pytest.fixture
async def stored_journal(database: Database) -> AsyncIterator[Journal]:
    store = PostgresEventStore(database)
    await store.start()
    yield Journal(store, database)
    await store.stop()
