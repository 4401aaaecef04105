"""Connections that wait in the pools, and are ended by PostgreSQL meanwhile."""

import asyncio
import random
from typing import Any

import anyio
import psycopg
import pytest
import sqlalchemy
from psycopg.pq import TransactionStatus

from infrastructure import patience
from infrastructure.postgres import Database

END_THEM = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def one(database: Database) -> int:
    async with database.pool.connection() as connection:
        row = await (await connection.execute("SELECT 1")).fetchone()
    assert row is not None
    return int(row[0])


async def one_by_the_engine(database: Database) -> int:
    async with database.engine.connect() as connection:
        return int((await connection.execute(sqlalchemy.text("SELECT 1"))).scalar_one())


async def test_a_connection_that_was_ended_while_it_waited_is_replaced(
    database: Database,
) -> None:
    assert (await one(database), await one_by_the_engine(database)) == (1, 1)

    with psycopg.connect(database.dsn, autocommit=True) as other:
        other.execute(END_THEM)

    assert (await one(database), await one_by_the_engine(database)) == (1, 1)


async def backends(database: Database) -> set[int]:
    """Return the processes that serve the pool, each of whose connections is lent."""
    size = database.pool.max_size
    found: set[int] = set()
    all_lent = asyncio.Event()

    async def lend() -> None:
        async with database.pool.connection() as connection:
            found.add(connection.info.backend_pid)
            if len(found) == size:
                all_lent.set()
            await all_lent.wait()

    async with asyncio.timeout(20):
        await asyncio.gather(*(lend() for _ in range(size)))
    return found


async def cut(database: Database, seed: int) -> None:
    """Ask, and be cancelled at some turn of the loop, all the time as streams are."""
    answered = asyncio.Event()

    async def ask() -> None:
        async with database.pool.connection() as connection:
            while True:
                await connection.execute("SELECT pg_sleep(0.001)")
                answered.set()

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await answered.wait()
        for _ in range(random.Random(seed).randrange(60)):
            await asyncio.sleep(0)
        group.cancel_scope.cancel()


async def test_a_storm_of_cut_readers_costs_no_connection(database: Database) -> None:
    before = await backends(database)
    database.pool.pop_stats()

    await asyncio.gather(*(cut(database, seed) for seed in range(500)))

    stats = database.pool.get_stats()
    assert stats["requests_num"] == 500
    assert stats.get("returns_bad", 0) == stats.get("connections_lost", 0) == 0
    assert stats["pool_available"] == stats["pool_size"] == database.pool.max_size
    assert await backends(database) == before


def busy(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> bool:
    return connection.info.transaction_status == TransactionStatus.ACTIVE


async def test_what_takes_long_is_called_off_when_nobody_wants_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "SOON", 0.01)
    before = await backends(database)

    async with database.pool.connection() as connection:
        asking = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
        while not busy(connection):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking], timeout=20)
        still = busy(connection)

    assert asking.cancelled()
    assert not still
    assert await backends(database) == before
