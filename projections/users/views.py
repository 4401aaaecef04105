"""What can be asked about users."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from projections.reading import Views
from projections.users.tables import USERS


class UserRow(msgspec.Struct, frozen=True):
    """A user as others see them."""

    id: UUID
    username: str
    profile_image: str | None
    is_active: bool
    is_superuser: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime | None
    optins: dict[str, bool] | None


class UserViews(Views):
    """Questions about users."""

    async def get(self, user_id: UUID) -> UserRow | None:
        """Return a user, if there is one of this id."""
        row = await self._first(select(USERS).where(USERS.c.id == user_id))
        return None if row is None else _user(row)

    async def page(
        self, *, skip: int = 0, limit: int = 10
    ) -> tuple[list[UserRow], int]:
        """Return users, oldest first, and how many there are."""
        query = select(USERS).order_by(USERS.c.created_at, USERS.c.id)
        rows, total = await self._page(query, limit=limit, offset=skip)
        return [_user(row) for row in rows], total


def _user(row: Any) -> UserRow:
    *values, optins = row
    told = None if optins is None else msgspec.json.decode(optins)
    return UserRow(*[*values, told])
