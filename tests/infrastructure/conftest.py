"""What tests of adapters share."""

from collections.abc import AsyncIterator

import pytest

from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.infrastructure.evidence_room import Room


@pytest.fixture
async def room(database: Database) -> AsyncIterator[Room]:
    store = PostgresEventStore(database)
    await store.start()
    try:
        yield Room(database, store)
    finally:
        await store.stop()
