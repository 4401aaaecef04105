"""What can be asked about API keys."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from projections.api_keys.tables import API_KEYS
from projections.reading import Found, Views


class ApiKeyRow(msgspec.Struct, frozen=True):
    """A key, known by its first characters."""

    id: UUID
    user_id: UUID
    name: str
    hint: str
    scopes: list[str] | None
    expires_at: datetime | None
    is_active: bool
    created_at: datetime


class ApiKeyViews(Views):
    """Questions about API keys."""

    async def of(
        self, user: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[ApiKeyRow]:
        """Return the keys of a user, oldest first."""
        mine = select(API_KEYS).where(API_KEYS.c.user_id == user)
        ordered = mine.order_by(API_KEYS.c.created_at, API_KEYS.c.id)
        rows, total = await self._page(ordered, limit=limit, offset=offset)
        return Found(map(_key, rows), total)

    async def get(self, key_id: UUID) -> ApiKeyRow | None:
        """Return a key, if there is one of this id."""
        row = await self._first(select(API_KEYS).where(API_KEYS.c.id == key_id))
        return None if row is None else _key(row)


def _key(row: Any) -> ApiKeyRow:
    *head, scopes, expires_at, is_active, created_at = row
    said = None if scopes is None else msgspec.json.decode(scopes)
    return ApiKeyRow(*[*head, said, expires_at, is_active, created_at])
