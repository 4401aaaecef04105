"""What the migrations leave behind: tables, partitions, and who may do what."""

import asyncio
from datetime import UTC, datetime
from importlib.resources import files
from uuid import UUID

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import AsyncConnection
from sqlalchemy import create_engine, pool

from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database, sqlalchemy_url
from infrastructure.postgres_cluster import APP_ROLE
from tests.contracts.event_stores import Named, Talk, because
from tests.servers import Addresses

pytestmark = pytest.mark.server

TABLES = (
    "alembic_version",
    "api_key_uses",
    "archives",
    "canvas",
    "claims",
    "commands",
    "contents",
    "core_events",
    "dead_letters",
    "features",
    "installation_keys",
    "leases",
    "ownership",
    "projections",
    "runs_events",
    "segments",
    "sessions",
    "sign_in_links",
    "skipped_events",
    "snapshots",
    "subject_keys",
    "vault",
)
EVENTS = ("es.core_events", "es.runs_events", "es.runs_events_default")


def downgrade(dsn: str) -> None:
    engine = create_engine(sqlalchemy_url(dsn), poolclass=pool.NullPool)
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(files("migrations")))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
    engine.dispose()


async def tables(dsn: str) -> set[str]:
    async with await AsyncConnection.connect(dsn) as connection:
        rows = await connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class c WHERE relkind IN ('r', 'p')"
            " AND relnamespace = 'es'::regnamespace AND NOT relispartition"
        )
        return {name for (name,) in await rows.fetchall()}


async def test_servers_that_start_together_migrate_once(
    blank_database: Addresses,
) -> None:
    dsn = blank_database.migration_dsn

    await asyncio.gather(*(migrate(dsn, app_role=APP_ROLE) for _ in range(4)))

    assert await tables(dsn) == {f"es.{name}" for name in TABLES}


async def test_the_tables_of_a_newer_release_are_left_alone(
    blank_database: Addresses, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = blank_database.migration_dsn
    await migrate(dsn)
    async with await AsyncConnection.connect(dsn) as connection:
        await connection.execute("UPDATE es.alembic_version SET version_num = '9999'")

    await migrate(dsn, app_role=APP_ROLE)

    assert "newer release (9999)" in caplog.text


async def test_a_migration_can_be_undone_while_there_is_no_history(
    blank_database: Addresses,
) -> None:
    dsn = blank_database.migration_dsn
    await migrate(dsn)

    await asyncio.to_thread(downgrade, dsn)
    assert await tables(dsn) == {"es.alembic_version"}

    await migrate(dsn)
    assert "es.core_events" in await tables(dsn)


async def test_history_is_not_undone(database: Database) -> None:
    store = PostgresEventStore(database)
    await store.start()
    await store.save(Named.called("a"), cause=because())
    await store.stop()

    with pytest.raises(Exception, match="history is not removed"):
        await asyncio.to_thread(downgrade, database.migration_dsn)


@pytest.mark.parametrize("table", EVENTS)
@pytest.mark.parametrize(
    "deed",
    [
        "UPDATE {} SET topic = 'other'",
        "DELETE FROM {}",
        "TRUNCATE {}",
        "ALTER TABLE {} DISABLE TRIGGER ALL",
        "DROP TABLE {}",
    ],
)
async def test_the_server_cannot_change_history(
    database: Database, table: str, deed: str
) -> None:
    async with database.pool.connection() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(deed.format(table).encode())


async def test_the_server_may_make_schemas_for_its_projections(
    database: Database,
) -> None:
    async with database.pool.connection() as connection:
        await connection.execute("CREATE SCHEMA rm_test_v1")


async def test_runs_lie_in_their_month_and_threads_apart(database: Database) -> None:
    now = datetime.now(UTC)
    run = UUID(int=(int(now.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | 5)
    thread = UUID(int=(0xFF << 120) | (8 << 76) | (2 << 62) | 5)
    old = UUID("01800000-0000-7000-8000-000000000001")
    store = PostgresEventStore(database)
    await store.start()
    for stream in (run, thread, old):
        await store.save(Talk.opened(at=stream), cause=because())
    await store.stop()

    async with database.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT originator_id, tableoid::regclass::text FROM es.runs_events"
        )
        assert dict(await rows.fetchall()) == {
            run: f"es.runs_events_{now:%Y_%m}",
            thread: "es.runs_events_threads",
            old: "es.runs_events_default",
        }


async def test_a_month_that_nobody_prepared_stays_where_it_began(
    database: Database,
) -> None:
    later = datetime(datetime.now(UTC).year + 2, 1, 15, tzinfo=UTC)
    run = UUID(int=(int(later.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | 5)
    store = PostgresEventStore(database)
    await store.start()
    await store.save(Talk.opened(at=run), cause=because())

    async with await AsyncConnection.connect(
        database.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute("SELECT es.create_run_partitions(36)")
        rows = await owner.execute(
            "SELECT to_regclass(%s), to_regclass(%s)",
            [f"es.runs_events_{later:%Y}_01", f"es.runs_events_{later:%Y}_02"],
        )
        [(january, february)] = await rows.fetchall()

    assert january is None
    assert february is not None
    assert (await store.load(Talk, run)).names == ["first"]
    await store.stop()


async def test_people_can_read_events_as_text(database: Database) -> None:
    store = PostgresEventStore(database)
    await store.start()
    named = Named.called("grün")
    await store.save(named, cause=because())
    await store.stop()

    async with database.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT stream, version, tag, state::json ->> 'name' FROM es.core"
        )
        assert await rows.fetchall() == [(named.id, 1, "project.opened", "grün")]


def test_a_revision_bears_the_number_of_its_file() -> None:
    """By it a start sees that there is nothing to do."""
    for file in (files("migrations") / "versions").iterdir():
        if file.name.endswith(".py"):
            assert f'revision = "{file.name[:4]}"' in file.read_text("utf-8")
