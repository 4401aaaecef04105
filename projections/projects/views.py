"""What can be asked about projects."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from domain.project.events import McpAccess
from projections.projects.tables import PROJECTS
from projections.reading import Views, stored


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

    async def of(self, owner: UUID) -> list[ProjectRow]:
        """Return the projects of an owner, oldest first."""
        mine = select(PROJECTS).where(PROJECTS.c.owner == owner)
        rows = await self._all(mine.order_by(PROJECTS.c.created_at, PROJECTS.c.id))
        return [_project(row) for row in rows]

    async def named(self, owner: UUID, name: str) -> ProjectRow | None:
        """Return the owner's project of this name, if there is one."""
        mine = select(PROJECTS).where(PROJECTS.c.owner == owner)
        row = await self._first(mine.where(PROJECTS.c.name == stored(name)))
        return None if row is None else _project(row)


def _project(row: Any) -> ProjectRow:
    *head, access, created_at, updated_at = row
    known = access and msgspec.json.decode(access, type=McpAccess)
    return ProjectRow(*[*head, known, created_at, updated_at])
