"""How views are read: from the stable schema, outside any transaction."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from projections.generations import VIEWS


class Views:
    """Asks the read tables through the views that a rebuild swaps."""

    def __init__(self, engine: AsyncEngine) -> None:
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
        self, query: Select[Any], *, limit: int, offset: int
    ) -> tuple[Sequence[Any], int]:
        """Return a part of what *query* finds, and how much there is in all."""
        counted = select(func.count()).select_from(query.order_by(None).subquery())
        async with self._engine.connect() as connection:
            total = (await connection.execute(counted)).scalar_one()
            rows = await connection.execute(query.limit(limit).offset(offset))
            return rows.all(), total


def like(text: str) -> str:
    """Return the LIKE pattern of texts that contain *text*."""
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
