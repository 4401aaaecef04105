"""Generations of a projection's tables: made, indexed, served by views, dropped."""

from hashlib import blake2b
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Identifier, Literal

from projections import checkpoints
from projections.projector import Projector
from projections.statements import index_ddl, table_ddl

VIEWS = "rm"
"""The schema of the stable views, which the read side queries."""


def schema_of(name: str, generation: int) -> str:
    """Return the schema that a generation's tables live in."""
    return f"rm_{name}_v{generation}"


def shape_of(projector: Projector) -> str:
    """Tell what the projector's tables are: its version, and a digest of their DDL."""
    digest = blake2b(digest_size=8)
    for table in projector.tables.sorted_tables:
        digest.update(table_ddl(table, schema="s").encode())
        for statement in index_ddl(table, schema="s"):
            digest.update(statement.encode())
    return f"{projector.version}:{digest.hexdigest()}"


def version_of(shape: str | None) -> int:
    """Return the projector's version that *shape* tells of; zero if unknown."""
    head = (shape or "").partition(":")[0]
    return int(head) if head.isdigit() else 0


async def shape(
    connection: AsyncConnection[Any], name: str, generation: int
) -> str | None:
    """Return the shape a generation was made in, or ``None`` if there is no such."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace"
        " WHERE nspname = %s",
        (schema_of(name, generation),),
    )
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def whole(
    connection: AsyncConnection[Any], projector: Projector, generation: int
) -> bool:
    """Tell whether every table of a generation is there, with its stable view."""
    schema = schema_of(projector.name, generation)
    names = [table.name for table in projector.tables.sorted_tables]
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(
        "SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n"
        " ON n.oid = c.relnamespace"
        " WHERE n.nspname IN (%s, %s) AND c.relname = ANY(%s)",
        (schema, VIEWS, names),
    )
    row = await cursor.fetchone()
    return row is not None and row[0] == 2 * len(names)


async def make(
    connection: AsyncConnection[Any],
    projector: Projector,
    generation: int,
    *,
    archives: bool = False,
) -> None:
    """Create the empty tables of a generation, with checkpoints at zero."""
    schema = schema_of(projector.name, generation)
    await connection.execute(
        SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema))
    )
    await connection.execute(
        SQL("COMMENT ON SCHEMA {} IS {}").format(
            Identifier(schema), Literal(shape_of(projector))
        )
    )
    for table in projector.tables.sorted_tables:
        await connection.execute(table_ddl(table, schema=schema).encode())
    for log in projector.logs:
        await checkpoints.begin(
            connection, projector.name, generation, log, archives=archives
        )


async def index(
    connection: AsyncConnection[Any], projector: Projector, generation: int
) -> None:
    """Create the secondary indexes of a generation, where they are missing."""
    schema = schema_of(projector.name, generation)
    for table in projector.tables.sorted_tables:
        for statement in index_ddl(table, schema=schema):
            await connection.execute(statement.encode())


async def serve(
    connection: AsyncConnection[Any], projector: Projector, generation: int
) -> None:
    """Point the stable views at a generation; all at once when the caller commits."""
    # Two that create a schema at once would collide, whatever IF NOT EXISTS says.
    key = checkpoints.lock_key("the schema of views")
    await connection.execute(checkpoints.EXCLUSIVE, (key,))
    await connection.execute(
        SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(VIEWS))
    )
    schema = schema_of(projector.name, generation)
    for table in projector.tables.sorted_tables:
        columns = await _columns(connection, schema, table.name)
        view = Identifier(VIEWS, table.name)
        # A view that stays alike keeps its identity, and with it prepared plans.
        if await _columns(connection, VIEWS, table.name) not in ([], columns):
            await connection.execute(SQL("DROP VIEW {}").format(view))
        await connection.execute(
            SQL("CREATE OR REPLACE VIEW {} AS SELECT {} FROM {}").format(
                view,
                SQL(", ").join([Identifier(column) for column, _ in columns]),
                Identifier(schema, table.name),
            )
        )
    await checkpoints.activate(connection, projector.name, generation)


async def drop(
    connection: AsyncConnection[Any], projector: Projector, generation: int
) -> None:
    """Remove a generation that no view shows."""
    schema = Identifier(schema_of(projector.name, generation))
    await connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
    await checkpoints.forget(connection, projector.name, generation)


async def numbers(connection: AsyncConnection[Any], name: str) -> list[int]:
    """Return the generations of a projection that have tables, oldest first."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(
        "SELECT substring(nspname FROM '_v([0-9]+)$')::int FROM pg_namespace"
        " WHERE nspname ~ %s ORDER BY 1",
        (f"^rm_{name}_v[0-9]+$",),
    )
    return [number for (number,) in await cursor.fetchall()]


async def _columns(
    connection: AsyncConnection[Any], schema: str, relation: str
) -> list[tuple[str, str]]:
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod)"
        " FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0"
        " AND NOT a.attisdropped ORDER BY a.attnum",
        (schema, relation),
    )
    return list(await cursor.fetchall())
