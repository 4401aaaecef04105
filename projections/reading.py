"""How views are read: from the stable schema, outside any transaction."""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Select, any_, func, literal, select, true
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.generations import VIEWS
from projections.keeping import FOR_EVER, Keeping
from projections.rows import clean

FURTHEST: Final = 2**63 - 1


class Found[T](list[T]):
    """A part of what there is, and how much there is in all."""

    def __init__(self, rows: Iterable[T], total: int) -> None:
        super().__init__(rows)
        self.total = total


class Views:
    """
    Asks the read tables through the views that a rebuild swaps.

    What has outlived its time is hidden, whether it was removed yet or not: so a
    table that is made anew shows what the old one did.
    """

    def __init__(self, engine: AsyncEngine, keeping: Keeping = FOR_EVER) -> None:
        self._keeping = keeping
        self._engine = engine.execution_options(
            schema_translate_map={None: VIEWS}, isolation_level="AUTOCOMMIT"
        )

    async def _all(self, query: Select[Any]) -> Sequence[Any]:
        async with self._engine.connect() as connection:
            found: Sequence[Any] = (await connection.execute(query)).all()
            return found

    async def _first(self, query: Select[Any]) -> Any | None:
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).first()

    async def _page(
        self, query: Select[Any], *, limit: int | None, offset: int
    ) -> tuple[Sequence[Any], int]:
        """Return a part of what *query* finds, and how much there is in all."""
        counted = select(func.count()).select_from(query.order_by(None).subquery())
        total = counted.scalar_subquery().label("counted_in_all")
        both = part(query.add_columns(total), limit=limit, offset=offset)
        async with self._engine.connect() as connection:
            found = (await connection.execute(both)).freeze()
            if (first := found().first()) is not None:
                width = len(query.selected_columns)
                return found().columns(*range(width)).all(), first[-1]
            # Behind the end there is no row that could say how many there are.
            return (), (await connection.execute(counted)).scalar_one()


def part(query: Select[Any], *, limit: int | None, offset: int) -> Select[Any]:
    """Return *query* for some of its rows; beyond any table's end there are none."""
    return query.limit(limit and min(limit, FURTHEST)).offset(min(offset, FURTHEST))


def younger(column: ColumnElement[Any], kept: timedelta | None) -> ColumnElement[bool]:
    """Tell whether a moment has not outlived its time."""
    return true() if kept is None else column >= func.now() - literal(kept)


def among(column: ColumnElement[Any], values: Collection[Any]) -> ColumnElement[bool]:
    """Tell whether *column* is any of *values*, in one parameter however many."""
    return column == any_(literal(list(values), ARRAY(column.type)))


def stored(text: str) -> str:
    """Return *text* as it would be stored, to be compared with what is."""
    return str(clean(text))


def like(text: str) -> str:
    """Return the LIKE pattern of texts that contain *text*."""
    text = stored(text)
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
