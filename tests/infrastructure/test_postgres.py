"""Connections that wait in the pools, and are ended by PostgreSQL meanwhile."""

import psycopg
import sqlalchemy

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
