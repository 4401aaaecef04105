"""A PostgreSQL that is killed costs the sealer a moment, and history nothing."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from domain.kernel import DomainError
from infrastructure.blobs.local import LocalBlobs
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.evidence.sealer import Sealer
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import APP_ROLE
from tests.contracts.event_stores import Named
from tests.infrastructure.evidence_room import KEYS, Room
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.chaos, pytest.mark.timeout(300)]

KILLS = 3
MOST_EVENTS = 7
"""Few to a segment, so that a kill may meet one half written."""


@asynccontextmanager
async def room_at(server: EmbeddedPostgres, blobs: Path) -> AsyncIterator[Room]:
    database = await Database.open(
        server.dsn, migration_dsn=server.migration_dsn, pool_size=4
    )
    store = PostgresEventStore(database)
    await store.start()
    try:
        yield Room(database, store, LocalBlobs(blobs))
    finally:
        await store.stop()
        await database.close()


async def write(room: Room, stop: asyncio.Event) -> int:
    """Append all the time, also while the database is away; return how much was."""
    told = 0
    while not stop.is_set():
        with suppress(DomainError, psycopg.Error, PoolTimeout, OSError):
            await room.append(Named.called("a", "b", "c"))
            told += 3
        await asyncio.sleep(0.01)
    return told


async def sealed(room: Room) -> int:
    """Return up to where core is sealed, once the database answers."""
    async with asyncio.timeout(60):
        while True:
            with suppress(psycopg.Error, PoolTimeout, OSError):
                [(position,)] = await room.ask(
                    "SELECT coalesce(max(last_position), 0) FROM es.segments"
                    " WHERE log = 'core'"
                )
                assert isinstance(position, int)
                return position
            await asyncio.sleep(0.05)


async def sealed_beyond(room: Room, position: int) -> None:
    async with asyncio.timeout(60):
        while await sealed(room) <= position:
            await asyncio.sleep(0.05)


async def killed(server: EmbeddedPostgres) -> None:
    """Kill the database, and see that another process has taken its place."""
    before = server.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(60):
        while server.pid in {None, before}:
            await asyncio.sleep(0.05)


async def test_sealing_goes_on_by_itself_when_the_database_is_killed(
    tmp_path: Path,
) -> None:
    with directory_for_servers() as home, EmbeddedPostgres(home / "pg") as server:
        await migrate(server.migration_dsn, app_role=APP_ROLE)
        async with room_at(server, tmp_path) as room:
            sealer = Sealer(
                server.dsn, KEYS.sign_history, interval=0.05, largest=MOST_EVENTS
            )
            stop = asyncio.Event()
            await sealer.start()
            writing = asyncio.create_task(write(room, stop))
            await sealed_beyond(room, 0)
            for _ in range(KILLS):
                await killed(server)
                # Up to here before the kill, or just after it, and on from there.
                await sealed_beyond(room, await sealed(room))
            stop.set()
            told = await writing
            head = (await room.store.head()).core
            await sealed_beyond(room, head - 1)
            await sealer.stop()

            core = await room.verify()

    assert not core.findings
    assert core.unsealed == 0
    assert core.events >= told > 0
    assert core.segments > KILLS
