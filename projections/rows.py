"""Row changes of one batch, coalesced by primary key, in the order that matters."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Table

type Key = tuple[Any, ...]
type Row = dict[str, Any]


class Change(msgspec.Struct):
    """
    What becomes of one row: put whole, changed in some columns, or removed.

    A row that is removed and put again in one batch is simply put.
    """

    kind: Literal["put", "change", "remove"]
    values: Row


class Everywhere(msgspec.Struct):
    """The same change to all rows that match; an empty change removes them."""

    table: Table
    where: Row
    values: Row


type Segment = dict[Table, dict[Key, Change]] | Everywhere


def key_of(table: Table, row: Row) -> Key:
    """Return the primary key of *row*."""
    return tuple(row[column.name] for column in table.primary_key)


def clean(value: object) -> object:
    """Make *value* storable: PostgreSQL takes no NUL in a text."""
    if isinstance(value, str) and "\0" in value:
        return value.replace("\0", "\ufffd")
    return value


class Rows:
    """
    The changes a fold asks for.

    Changes of single rows are coalesced; a change by condition closes the segment
    before it, so that whatever was asked earlier is written earlier.
    """

    def __init__(self, known: Mapping[Table, Iterable[Row]] | None = None) -> None:
        self._segments: list[Segment] = []
        self._open: dict[Table, dict[Key, Change]] = {}
        self._known: dict[Table, dict[Key, Row]] = {
            table: {key_of(table, row): row for row in rows}
            for table, rows in (known or {}).items()
        }

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments in the order they must be written in."""
        yield from self._segments
        if self._open:
            yield self._open

    def get(self, table: Table, key: UUID | Key) -> Row | None:
        """
        Return a row as it stands now, if it exists.

        Only rows that were put in this batch or named by `Projector.needs` are seen.
        """
        return self._known.get(table, {}).get(_tuple(key))

    def put(self, table: Table, **values: Any) -> None:
        """Write a whole row over whatever bears its key; absent columns are null."""
        row = {column.name: clean(values.pop(column.name, None)) for column in table.c}
        _refuse_unknown(table, values)
        key = key_of(table, row)
        self._open.setdefault(table, {})[key] = Change(kind="put", values=row)
        self._known.setdefault(table, {})[key] = dict(row)

    def change(self, table: Table, key: UUID | Key, **values: Any) -> None:
        """Set some columns of a row; nothing happens if there is none."""
        _refuse_unknown(table, {name: 0 for name in values if name not in table.c})
        if not values:
            return
        key, values = _tuple(key), {name: clean(v) for name, v in values.items()}
        if (known := self._known.get(table, {}).get(key)) is not None:
            known.update(values)
        changes = self._open.setdefault(table, {})
        earlier = changes.get(key)
        if earlier is None:
            changes[key] = Change(kind="change", values=values)
        elif earlier.kind != "remove":
            earlier.values.update(values)

    def remove(self, table: Table, key: UUID | Key) -> None:
        """Delete a row; nothing happens if there is none."""
        key = _tuple(key)
        self._open.setdefault(table, {})[key] = Change(kind="remove", values={})
        self._known.get(table, {}).pop(key, None)

    def change_where(self, table: Table, where: Row, **values: Any) -> None:
        """Set some columns of every row that matches."""
        self._everywhere(table, where, values)

    def remove_where(self, table: Table, **where: Any) -> None:
        """Delete every row that matches."""
        self._everywhere(table, where, {})

    def _everywhere(self, table: Table, where: Row, values: Row) -> None:
        _refuse_unknown(
            table, {name: 0 for name in (*where, *values) if name not in table.c}
        )
        where = {name: clean(value) for name, value in where.items()}
        values = {name: clean(value) for name, value in values.items()}
        if self._open:
            self._segments.append(self._open)
            self._open = {}
        self._segments.append(Everywhere(table=table, where=where, values=values))
        known = self._known.get(table, {})
        for key, row in list(known.items()):
            if all(row[name] == value for name, value in where.items()):
                row.update(values)
                if not values:
                    del known[key]


def _tuple(key: UUID | Key) -> Key:
    return key if isinstance(key, tuple) else (key,)


def _refuse_unknown(table: Table, values: Row) -> None:
    if values:
        raise KeyError(f"{table.name} has no column {', '.join(values)}")
