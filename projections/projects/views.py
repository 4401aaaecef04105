"""What can be asked about projects."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from domain.project.events import McpAccess
from projections.projects.tables import PROJECTS
from projections.reading import Found, Views, stored


class ProjectRow(msgspec.Struct, frozen=True):
    """A project; ``mcp_access`` says how callers of its tools are checked."""

    id: UUID
    owner: UUID
    name: str
    description: str | None
    parent: UUID | None
    mcp_access: McpAccess | None
    created_at: datetime
    updated_at: datetime


class ProjectViews(Views):
    """Questions about projects."""

    async def get(self, project_id: UUID) -> ProjectRow | None:
        """Return a project, if there is one of this id."""
        row = await self._first(select(PROJECTS).where(PROJECTS.c.id == project_id))
        return None if row is None else _project(row)

    async def of(
        self,
        owner: UUID,
        *,
        first: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> Found[ProjectRow]:
        """Return the projects of an owner: the one named *first*, then the oldest."""
        mine = select(PROJECTS).where(PROJECTS.c.owner == owner)
        order = (PROJECTS.c.name != first, PROJECTS.c.created_at, PROJECTS.c.id)
        ordered = mine.order_by(*order)
        rows, total = await self._page(ordered, limit=limit, offset=offset)
        return Found(map(_project, rows), total)

    async def named(self, owner: UUID, name: str) -> ProjectRow | None:
        """Return the owner's project of this name, if there is one."""
        mine = select(PROJECTS).where(PROJECTS.c.owner == owner)
        row = await self._first(mine.where(PROJECTS.c.name == stored(name)))
        return None if row is None else _project(row)


def _project(row: Any) -> ProjectRow:
    *head, access, created_at, updated_at = row
    known = access and msgspec.json.decode(access, type=McpAccess)
    return ProjectRow(*[*head, known, created_at, updated_at])
