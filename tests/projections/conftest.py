"""Where facts are told: a log in memory, with rows in a real PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.projections.journal import Journal


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(MemoryEventStore(), database)


@pytest.fixture
async def stored_journal(database: Database) -> AsyncIterator[Journal]:
    keys = PostgresSubjectKeys(database, Keyring("a secret that only tests know"))
    store = PostgresEventStore(database, keys)
    await store.start()
    yield Journal(store, database)
    await store.stop()
