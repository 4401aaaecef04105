"""The event stores that contract tests run against, in memory and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import KEYRING, Stored, in_memory, on_postgres


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.server)])
def stored(request: pytest.FixtureRequest) -> Stored:
    """A fresh event store with its side tables, once of each kind."""
    stored = request.getfixturevalue(f"stored_in_{request.param}")
    assert isinstance(stored, Stored)
    return stored


@pytest.fixture
def stored_in_memory() -> Stored:
    return in_memory(MemoryEventStore())


@pytest.fixture
async def stored_in_postgres(database: Database) -> AsyncIterator[Stored]:
    keys = PostgresSubjectKeys(database, KEYRING)
    store = PostgresEventStore(database, keys)
    await store.start()
    try:
        yield on_postgres(store, database, keys)
    finally:
        await store.stop()
