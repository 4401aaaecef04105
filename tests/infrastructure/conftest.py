"""What tests of adapters share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.infrastructure.archiving import Store
from tests.infrastructure.evidence_room import Room


@pytest.fixture
async def room(database: Database, tmp_path: Path) -> AsyncIterator[Room]:
    store = PostgresEventStore(database)
    await store.start()
    try:
        yield Room(database, store, LocalBlobs(tmp_path / "blobs"))
    finally:
        await store.stop()


@pytest.fixture
def kept(room: Room) -> Store:
    """A room with an archiver."""
    return Store(room)
