"""The set-based SQL that reads and writes the rows of one generation of tables."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composable, Composed, Identifier
from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.postgresql import dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from projections.rows import Change, Everywhere, Key, Row, Rows

_DIALECT = dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's is untyped

type Statement = tuple[bytes, Sequence[Any]]


def table_ddl(table: Table, *, schema: str) -> str:
    """Return the statement that creates *table* in *schema*."""
    placed = table.to_metadata(MetaData(), schema=schema)
    return str(CreateTable(placed, if_not_exists=True).compile(dialect=_DIALECT))


def index_ddl(table: Table, *, schema: str) -> list[str]:
    """Return the statements that create the secondary indexes of *table*."""
    placed = table.to_metadata(MetaData(), schema=schema)
    return [
        str(CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT))
        for index in sorted(placed.indexes, key=lambda index: str(index.name))
    ]


def statements(rows: Rows, *, schema: str) -> Iterator[Statement]:
    """Yield the statements that write *rows*, in order."""
    for segment in rows:
        if isinstance(segment, Everywhere):
            yield _everywhere(segment, schema=schema)
        else:
            yield from _segment(segment, schema=schema)


async def preload(
    connection: AsyncConnection[Any],
    needs: Mapping[Table, Iterable[Key]],
    *,
    schema: str,
) -> dict[Table, list[Row]]:
    """Read the rows that a fold must be able to look at."""
    found: dict[Table, list[Row]] = {}
    for table, wanted in needs.items():
        keys = list(dict.fromkeys(wanted))
        if keys:
            columns = tuple(column.name for column in table.primary_key)
            query = _select(schema, table, columns)
            cursor = connection.cursor(row_factory=dict_row)
            await cursor.execute(query, [list(c) for c in zip(*keys, strict=True)])
            found[table] = await cursor.fetchall()
    return found


def _segment(
    segment: Mapping[Table, Mapping[Key, Change]], *, schema: str
) -> Iterator[Statement]:
    for table, changes in segment.items():
        removed = [key for key, change in changes.items() if change.kind == "remove"]
        put = [change.values for change in changes.values() if change.kind == "put"]
        changed: dict[tuple[str, ...], list[Row]] = {}
        for key, change in changes.items():
            if change.kind == "change":
                primary = (column.name for column in table.primary_key)
                row = change.values | dict(zip(primary, key, strict=True))
                changed.setdefault(tuple(sorted(change.values)), []).append(row)
        if removed:
            columns = [list(column) for column in zip(*removed, strict=True)]
            yield _delete(schema, table), columns
        if put:
            names = tuple(column.name for column in table.c)
            yield _upsert(schema, table), _columns(names, put)
        for names, rows in changed.items():
            keys = tuple(column.name for column in table.primary_key)
            yield _update(schema, table, names), _columns((*keys, *names), rows)


def _columns(names: tuple[str, ...], rows: Sequence[Row]) -> list[list[Any]]:
    return [[row[name] for row in rows] for name in names]


def _array(table: Table, name: str) -> Composable:
    kind = table.c[name].type.compile(dialect=_DIALECT)
    return SQL("%b::{}[]").format(SQL(kind))


def _unnested(table: Table, names: Iterable[str]) -> Composable:
    return SQL(", ").join([_array(table, name) for name in names])


def _names(names: Iterable[str], prefix: str | None = None) -> Composable:
    parts = (Identifier(name) for name in names)
    if prefix is None:
        return SQL(", ").join(list(parts))
    return SQL(", ").join([SQL("{}.{}").format(Identifier(prefix), p) for p in parts])


def _same(names: Iterable[str]) -> Composable:
    return SQL(" AND ").join(
        [SQL("t.{0} = u.{0}").format(Identifier(name)) for name in names]
    )


@lru_cache(maxsize=256)
def _upsert(schema: str, table: Table) -> bytes:
    names = tuple(column.name for column in table.c)
    keys = tuple(column.name for column in table.primary_key)
    rest = [name for name in names if name not in keys]
    update = SQL(", ").join(
        [SQL("{0} = EXCLUDED.{0}").format(Identifier(name)) for name in rest]
    )
    return (
        SQL(
            "INSERT INTO {table} ({names}) SELECT * FROM unnest({arrays})"
            " ON CONFLICT ({keys}) DO {action}"
        )
        .format(
            table=Identifier(schema, table.name),
            names=_names(names),
            arrays=_unnested(table, names),
            keys=_names(keys),
            action=SQL("UPDATE SET {}").format(update) if rest else SQL("NOTHING"),
        )
        .as_bytes()
    )


@lru_cache(maxsize=256)
def _update(schema: str, table: Table, names: tuple[str, ...]) -> bytes:
    keys = tuple(column.name for column in table.primary_key)
    return (
        SQL(
            "UPDATE {table} AS t SET {sets} FROM unnest({arrays}) AS u({names})"
            " WHERE {same}"
        )
        .format(
            table=Identifier(schema, table.name),
            sets=SQL(", ").join(
                [SQL("{0} = u.{0}").format(Identifier(name)) for name in names]
            ),
            arrays=_unnested(table, (*keys, *names)),
            names=_names((*keys, *names)),
            same=_same(keys),
        )
        .as_bytes()
    )


@lru_cache(maxsize=256)
def _delete(schema: str, table: Table) -> bytes:
    keys = tuple(column.name for column in table.primary_key)
    return (
        SQL("DELETE FROM {table} AS t USING unnest({arrays}) AS u({keys}) WHERE {same}")
        .format(
            table=Identifier(schema, table.name),
            arrays=_unnested(table, keys),
            keys=_names(keys),
            same=_same(keys),
        )
        .as_bytes()
    )


@lru_cache(maxsize=256)
def _select(schema: str, table: Table, keys: tuple[str, ...]) -> bytes:
    return (
        SQL(
            "SELECT {columns} FROM {table} AS t"
            " JOIN unnest({arrays}) AS u({keys}) ON {same}"
        )
        .format(
            columns=_names((column.name for column in table.c), "t"),
            table=Identifier(schema, table.name),
            arrays=_unnested(table, keys),
            keys=_names(keys),
            same=_same(keys),
        )
        .as_bytes()
    )


def _everywhere(change: Everywhere, *, schema: str) -> Statement:
    table = Identifier(schema, change.table.name)
    where = SQL(" AND ").join([_matches(change, name) for name in change.where])
    given = [value for value in change.where.values() if value is not None]
    if not change.values:
        return SQL("DELETE FROM {} WHERE {}").format(table, where).as_bytes(), given
    sets = SQL(", ").join(
        [
            SQL("{} = {}").format(Identifier(name), _value(change.table, name))
            for name in change.values
        ]
    )
    update = SQL("UPDATE {} SET {} WHERE {}").format(table, sets, where)
    return update.as_bytes(), [*change.values.values(), *given]


def _matches(change: Everywhere, name: str) -> Composed:
    # IS NOT DISTINCT FROM would say both at once, but no index serves it.
    if change.where[name] is None:
        return SQL("{} IS NULL").format(Identifier(name))
    return SQL("{} = {}").format(Identifier(name), _value(change.table, name))


def _value(table: Table, name: str) -> Composable:
    kind = table.c[name].type.compile(dialect=_DIALECT)
    return SQL("%s::{}").format(SQL(kind))
