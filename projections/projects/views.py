"""What can be asked about projects."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select

from projections.projects.tables import PROJECTS
from projections.reading import Views, stored


class ProjectRow(msgspec.Struct, frozen=True):
    """A project."""

    id: UUID
    owner: UUID
    name: str
    description: str | None
    parent: UUID | None
    created_at: datetime
    updated_at: datetime


class ProjectViews(Views):
    """Questions about projects."""

    async def get(self, project_id: UUID) -> ProjectRow | None:
        """Return a project, if there is one of this id."""
        row = await self._first(select(PROJECTS).where(PROJECTS.c.id == project_id))
        return None if row is None else ProjectRow(*row)

    async def of(self, owner: UUID) -> list[ProjectRow]:
        """Return the projects of an owner, oldest first."""
        mine = select(PROJECTS).where(PROJECTS.c.owner == owner)
        rows = await self._all(mine.order_by(PROJECTS.c.created_at, PROJECTS.c.id))
        return [ProjectRow(*row) for row in rows]

    async def named(self, owner: UUID, name: str) -> ProjectRow | None:
        """Return the owner's project of this name, if there is one."""
        mine = select(PROJECTS).where(PROJECTS.c.owner == owner)
        row = await self._first(mine.where(PROJECTS.c.name == stored(name)))
        return None if row is None else ProjectRow(*row)
