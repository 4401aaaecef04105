"""What can be asked about users."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from application.gathered import Gathered
from projections.reading import Views, among, like
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
    has_store_key: bool
    optins: dict[str, bool] | None


class UserViews(Views):
    """Questions about users."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        # Every request asks who sent it.
        self._gathered = Gathered(self._known)

    async def get(self, user_id: UUID) -> UserRow | None:
        """Return a user, if there is one of this id."""
        return await self._gathered.of(user_id)

    async def _known(self, ids: Sequence[UUID]) -> dict[UUID, UserRow]:
        rows = await self._all(select(USERS).where(among(USERS.c.id, ids)))
        return {row.id: _user(row) for row in rows}

    async def superusers(self) -> list[UUID]:
        """Return active superusers, the oldest first, a hundred at most."""
        which = and_(USERS.c.is_superuser, USERS.c.is_active)
        query = select(USERS.c.id).where(which).order_by(USERS.c.created_at)
        return [user for (user,) in await self._all(query.limit(100))]

    async def page(
        self, *, skip: int = 0, limit: int = 10, search: str = ""
    ) -> tuple[list[UserRow], int]:
        """Return users whose name contains *search*, oldest first, and their number."""
        query = select(USERS).order_by(USERS.c.created_at, USERS.c.id)
        if search:
            query = query.where(USERS.c.username.ilike(like(search), escape="\\"))
        rows, total = await self._page(query, limit=limit, offset=skip)
        return [_user(row) for row in rows], total


def _user(row: Any) -> UserRow:
    *values, optins = row
    told = None if optins is None else msgspec.json.decode(optins)
    return UserRow(*[*values, told])
