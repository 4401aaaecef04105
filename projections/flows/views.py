"""What can be asked about flows."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, case, null, select, true

from domain.flow.events import Access
from projections.flows.tables import FLOWS
from projections.reading import Views, among, like


class FlowHeader(msgspec.Struct, frozen=True):
    """A flow in a list; ``document`` is there (as JSON) only for a component."""

    id: UUID
    owner: UUID
    project: UUID
    name: str
    description: str | None
    icon: str | None
    icon_bg_color: str | None
    gradient: str | None
    tags: list[str] | None
    endpoint_name: str | None
    is_component: bool
    webhook: bool
    locked: bool
    access: Access
    mcp_enabled: bool
    action_name: str | None
    action_description: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    document: bytes | None


class FlowRow(FlowHeader, frozen=True):
    """
    A flow with its document: JSON without canvas state, secrets by reference.

    ``version`` is its stream's, the base of an edit.
    """

    document: bytes


class FlowName(msgspec.Struct, frozen=True):
    """What a flow is called, and what its owner says of it."""

    id: UUID
    name: str
    description: str | None


_HEADER = [column for column in FLOWS.c if column.name != "document"]
_COMPONENT = case((FLOWS.c.is_component, FLOWS.c.document), else_=null())


class FlowViews(Views):
    """Questions about flows."""

    async def get(self, flow_id: UUID) -> FlowRow | None:
        """Return a flow, if there is one of this id."""
        row = await self._first(select(FLOWS).where(FLOWS.c.id == flow_id))
        return None if row is None else _flow(row)

    async def many(self, ids: Collection[UUID]) -> list[FlowRow]:
        """Return those of *ids* that there are, in the order asked for."""
        rows = await self._all(select(FLOWS).where(among(FLOWS.c.id, ids)))
        found = {row.id: _flow(row) for row in rows}
        return [found[flow] for flow in dict.fromkeys(ids) if flow in found]

    async def briefly(self, ids: Collection[UUID]) -> list[FlowName]:
        """Return what those of *ids* that there are are called, in that order."""
        names = select(FLOWS.c.id, FLOWS.c.name, FLOWS.c.description)
        rows = await self._all(names.where(among(FLOWS.c.id, ids)))
        found = {row.id: FlowName(*row) for row in rows}
        return [found[flow] for flow in dict.fromkeys(ids) if flow in found]

    async def of_owner(
        self,
        owner: UUID,
        *,
        components_only: bool | None = None,
        project: UUID | None = None,
    ) -> list[FlowRow]:
        """Return an owner's flows with their documents, oldest first."""
        which = _mine(owner, components_only=components_only, project=project)
        query = select(FLOWS).where(which).order_by(FLOWS.c.created_at, FLOWS.c.id)
        return [_flow(row) for row in await self._all(query)]

    async def headers(
        self,
        owner: UUID,
        *,
        components_only: bool | None = None,
        project: UUID | None = None,
    ) -> list[FlowHeader]:
        """Return an owner's flows without documents, oldest first."""
        which = _mine(owner, components_only=components_only, project=project)
        query = select(*_HEADER, _COMPONENT).where(which)
        rows = await self._all(query.order_by(FLOWS.c.created_at, FLOWS.c.id))
        return [_header(row) for row in rows]

    async def exposed(
        self, owner: UUID, *, project: UUID | None, limit: int
    ) -> list[FlowHeader]:
        """Return an owner's flows that are tools, without documents, oldest first."""
        which = _mine(owner, components_only=False, project=project)
        query = select(*_HEADER, null()).where(which, FLOWS.c.mcp_enabled)
        rows = await self._all(
            query.order_by(FLOWS.c.created_at, FLOWS.c.id).limit(limit)
        )
        return [_header(row) for row in rows]

    async def documents(self, ids: Collection[UUID]) -> dict[UUID, bytes]:
        """Return the documents of those of *ids* that there are, in one query."""
        if not ids:
            return {}
        query = select(FLOWS.c.id, FLOWS.c.document).where(among(FLOWS.c.id, ids))
        return {row.id: row.document for row in await self._all(query)}

    async def heads(self, ids: Collection[UUID]) -> list[FlowHeader]:
        """Return those of *ids* that there are, without documents, in that order."""
        query = select(*_HEADER, _COMPONENT).where(among(FLOWS.c.id, ids))
        found = {row.id: _header(row) for row in await self._all(query)}
        return [found[flow] for flow in dict.fromkeys(ids) if flow in found]

    async def page(
        self,
        owner: UUID,
        project: UUID | None = None,
        *,
        page: int = 1,
        size: int = 50,
        search: str = "",
        is_component: bool | None = None,
    ) -> tuple[list[FlowRow], int]:
        """Return a page (from 1) of flows, last edited first, and their number."""
        which = _mine(owner, components_only=is_component, project=project)
        if search:
            which = and_(which, FLOWS.c.name.ilike(like(search), escape="\\"))
        query = select(FLOWS).where(which)
        rows, total = await self._page(
            query.order_by(FLOWS.c.updated_at.desc(), FLOWS.c.id),
            limit=size,
            offset=(page - 1) * size,
        )
        return [_flow(row) for row in rows], total

    async def public(self, flow_id: UUID) -> FlowRow | None:
        """Return a flow, if there is one and anybody may see it."""
        query = select(FLOWS).where(FLOWS.c.id == flow_id, FLOWS.c.access == "PUBLIC")
        row = await self._first(query)
        return None if row is None else _flow(row)


def _mine(
    owner: UUID, *, components_only: bool | None, project: UUID | None
) -> ColumnElement[bool]:
    return and_(
        FLOWS.c.owner == owner,
        true() if project is None else FLOWS.c.project == project,
        true()
        if components_only is None
        else FLOWS.c.is_component.is_(components_only),
    )


def _flow(row: Any) -> FlowRow:
    return FlowRow(*[*row[:8], _tags(row[8]), *row[9:]])


def _header(row: Any) -> FlowHeader:
    return FlowHeader(*[*row[:8], _tags(row[8]), *row[9:]])


def _tags(tags: bytes | None) -> list[str] | None:
    return None if tags is None else msgspec.json.decode(tags, type=list[str])
