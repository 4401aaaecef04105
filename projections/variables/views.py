"""What can be asked about variables."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from domain.user.events import VariableKind
from projections.reading import Found, Views, among, stored
from projections.variables.tables import VARIABLES


class VariableRow(msgspec.Struct, frozen=True):
    """A variable; ``secret`` names its value in the vault."""

    id: UUID
    user_id: UUID
    name: str
    kind: VariableKind
    secret: UUID
    default_fields: list[str]
    created_at: datetime
    updated_at: datetime


class VariableViews(Views):
    """Questions about variables."""

    async def of(
        self, user: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[VariableRow]:
        """Return the variables of a user, oldest first."""
        mine = select(VARIABLES).where(VARIABLES.c.user_id == user)
        ordered = mine.order_by(VARIABLES.c.created_at, VARIABLES.c.id)
        rows, total = await self._page(ordered, limit=limit, offset=offset)
        return Found(map(_variable, rows), total)

    async def get(self, variable_id: UUID) -> VariableRow | None:
        """Return a variable, if there is one of this id."""
        row = await self._first(select(VARIABLES).where(VARIABLES.c.id == variable_id))
        return None if row is None else _variable(row)

    async def named(self, user: UUID, names: Collection[str]) -> dict[str, VariableRow]:
        """Return those of a user's variables that bear one of *names*."""
        if not names:
            return {}
        mine = select(VARIABLES).where(VARIABLES.c.user_id == user)
        wanted = [stored(name) for name in names]
        rows = await self._all(mine.where(among(VARIABLES.c.name, wanted)))
        return {row.name: _variable(row) for row in rows}


def _variable(row: Any) -> VariableRow:
    *head, default_fields, created_at, updated_at = row
    fields = msgspec.json.decode(default_fields)
    return VariableRow(*[*head, fields, created_at, updated_at])
