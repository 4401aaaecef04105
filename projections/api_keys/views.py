"""What can be asked about API keys."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select

from projections.api_keys.tables import API_KEYS
from projections.reading import Views


class ApiKeyRow(msgspec.Struct, frozen=True):
    """A key, known by its first characters."""

    id: UUID
    user_id: UUID
    name: str
    hint: str
    created_at: datetime


class ApiKeyViews(Views):
    """Questions about API keys."""

    async def of(self, user: UUID) -> list[ApiKeyRow]:
        """Return the keys of a user, oldest first."""
        mine = select(API_KEYS).where(API_KEYS.c.user_id == user)
        rows = await self._all(mine.order_by(API_KEYS.c.created_at, API_KEYS.c.id))
        return [ApiKeyRow(*row) for row in rows]

    async def get(self, key_id: UUID) -> ApiKeyRow | None:
        """Return a key, if there is one of this id."""
        row = await self._first(select(API_KEYS).where(API_KEYS.c.id == key_id))
        return None if row is None else ApiKeyRow(*row)
