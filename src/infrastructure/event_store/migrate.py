"""Brings a database to the newest schema, one server at a time."""

import asyncio
import logging
from importlib.resources import files
from typing import TYPE_CHECKING

from psycopg import AsyncConnection, sql
from sqlalchemy import Connection, create_engine, pool, text

from infrastructure.postgres import connection_string, sqlalchemy_url

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

logger = logging.getLogger(__name__)

MIGRATION_LOCK = 0x6C62_6D69
"""The advisory lock that servers starting together queue for."""
MONTHS_AHEAD = 12
"""How many monthly partitions of the runs log are made before they are needed."""
LOCK_TIMEOUT = "60s"
FEATURES = ("sealed_states",)
"""What an upgraded database begins with only when its operator says so."""


async def migrate(dsn: str, *, app_role: str | None = None) -> None:
    """
    Upgrade the database of *dsn* to the newest revision.

    Grant *app_role* what a server needs, where it is not the owner itself.
    """
    await asyncio.to_thread(_migrate, dsn, app_role)


async def finish(dsn: str) -> list[str]:
    """
    Let servers use what older ones would not understand; return what is new.

    To be called once no older server runs on the database of *dsn* any more, whose
    owner *dsn* must name. Servers that run follow within a minute.
    """
    async with await AsyncConnection.connect(
        connection_string(dsn), autocommit=True
    ) as connection:
        begun = await connection.execute(
            "INSERT INTO es.features (name) SELECT unnest(%s::text[])"
            " ON CONFLICT (name) DO NOTHING RETURNING name",
            [list(FEATURES)],
        )
        return [name async for (name,) in begun]


def _migrate(dsn: str, app_role: str | None) -> None:
    engine = create_engine(sqlalchemy_url(dsn), poolclass=pool.NullPool)
    try:
        with engine.connect() as connection:
            # A session's lock, for it must outlive the transaction of each revision.
            connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
            connection.execute(text(f"SELECT pg_advisory_lock({MIGRATION_LOCK})"))
            connection.execute(text("CREATE SCHEMA IF NOT EXISTS es"))
            connection.commit()
            _upgrade(connection)
            connection.execute(text(f"SELECT es.create_run_partitions({MONTHS_AHEAD})"))
            _grant(connection, app_role)
            connection.commit()
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    if _is_newest(connection):
        return
    # Most starts need none of it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    config.attributes["connection"] = connection
    if newer := _newer(connection, ScriptDirectory.from_config(config)):
        logger.warning("The tables are those of a newer release (%s)", newer)
        return
    command.upgrade(config, "head")
    connection.commit()


def _is_newest(connection: Connection) -> bool:
    """Tell whether the tables are at the last revision, which its file's name tells."""
    there = connection.execute(text("SELECT to_regclass('es.alembic_version')"))
    if there.scalar_one() is None:
        return False
    at = connection.execute(text("SELECT version_num FROM es.alembic_version"))
    versions = (files("migrations") / "versions").iterdir()
    numbers = [file.name[:4] for file in versions if file.name[:4].isdigit()]
    return at.scalars().all() == [max(numbers)]


def _newer(connection: Connection, scripts: "ScriptDirectory") -> str | None:
    """
    Return the revision of the tables, if it came after all that we know.

    A server of the release before may start in the middle of a deployment: what came
    since was made for it to go on working.
    """
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415

    context = MigrationContext.configure(
        connection, opts={"version_table_schema": "es"}
    )
    revision = context.get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    return revision if revision is not None and revision not in known else None


def _grant(connection: Connection, app_role: str | None) -> None:
    owner = connection.execute(text("SELECT current_user")).scalar_one()
    if app_role is None or app_role == owner:
        return
    database = connection.execute(text("SELECT current_database()")).scalar_one()
    grants = (files("migrations") / "sql" / "grants.sql").read_text()
    statement = sql.SQL(grants).format(
        role=sql.Identifier(app_role), database=sql.Identifier(database)
    )
    connection.execution_options(no_parameters=True).exec_driver_sql(
        statement.as_string()
    )
