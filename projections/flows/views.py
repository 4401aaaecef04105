"""What can be asked about flows."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, case, func, null, or_, select, true

from domain.flow.events import Access
from projections.flows.tables import FLOWS
from projections.reading import Found, Views, among, like, part, stored


class FlowHeader(msgspec.Struct, frozen=True):
    """
    A flow in a list; ``size`` is that of its document, in bytes.

    The ``document`` itself, as JSON, is there only where a question says so.
    """

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
    size: int
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


_SIZE: Final = func.octet_length(FLOWS.c.document)
_HEADER: Final = [*(one for one in FLOWS.c if one.name != "document"), _SIZE]
_WHOLE: Final = [*_HEADER, FLOWS.c.document]
_COMPONENT: Final = case((FLOWS.c.is_component, FLOWS.c.document), else_=null())
_OLDEST_FIRST: Final = (FLOWS.c.created_at, FLOWS.c.id)
_LAST_EDITED_FIRST: Final = (FLOWS.c.updated_at.desc(), FLOWS.c.id)
TOGETHER: Final = 4 * 1024 * 1024
"""Bytes of documents that are read from the database together."""


class FlowViews(Views):
    """Questions about flows."""

    async def get(self, flow_id: UUID) -> FlowRow | None:
        """Return a flow, if there is one of this id."""
        row = await self._first(select(*_WHOLE).where(FLOWS.c.id == flow_id))
        return None if row is None else _flow(row)

    async def many(self, ids: Collection[UUID]) -> list[FlowRow]:
        """Return those of *ids* that there are, in the order asked for."""
        rows = await self._all(select(*_WHOLE).where(among(FLOWS.c.id, ids)))
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
        limit: int | None = None,
        offset: int = 0,
    ) -> Found[FlowHeader]:
        """
        Return an owner's flows, oldest first.

        The first ones have their documents, up to `TOGETHER` bytes of them.
        """
        which = _mine(owner, components_only=components_only, project=project)
        return await self._part(which, _OLDEST_FIRST, limit=limit, offset=offset)

    async def headers(
        self,
        owner: UUID,
        *,
        components_only: bool | None = None,
        project: UUID | None = None,
        exposed: bool = False,
        bare: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Found[FlowHeader]:
        """
        Return an owner's flows, oldest first, those that are tools if *exposed*.

        Only components have their documents; *bare*, not even those.
        """
        which = _mine(owner, components_only=components_only, project=project)
        query = select(*_HEADER, null() if bare else _COMPONENT).where(which)
        if exposed:
            query = query.where(FLOWS.c.mcp_enabled)
        ordered = query.order_by(*_OLDEST_FIRST)
        rows, total = await self._page(ordered, limit=limit, offset=offset)
        return Found(map(_header, rows), total)

    async def called(self, owner: UUID, name: str) -> FlowHeader | None:
        """Return the owner's flow of this id or endpoint name, without document."""
        its = FLOWS.c.endpoint_name == stored(name)
        with suppress(ValueError):
            its = or_(its, FLOWS.c.id == UUID(name))
        which = _mine(owner, components_only=False, project=None)
        query = select(*_HEADER, null()).where(which, its)
        row = await self._first(query.order_by(*_OLDEST_FIRST))
        return None if row is None else _header(row)

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
        query = select(*_HEADER, null()).where(among(FLOWS.c.id, ids))
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
    ) -> Found[FlowHeader]:
        """
        Return a page (from 1) of flows, last edited first.

        The first ones have their documents, up to `TOGETHER` bytes of them.
        """
        which = _mine(owner, components_only=is_component, project=project)
        if search:
            which = and_(which, FLOWS.c.name.ilike(like(search), escape="\\"))
        return await self._part(
            which, _LAST_EDITED_FIRST, limit=size, offset=(page - 1) * size
        )

    async def public(self, flow_id: UUID) -> FlowRow | None:
        """Return a flow, if there is one and anybody may see it."""
        query = select(*_WHOLE).where(FLOWS.c.id == flow_id, FLOWS.c.access == "PUBLIC")
        row = await self._first(query)
        return None if row is None else _flow(row)

    async def _part(
        self,
        which: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]],
        *,
        limit: int | None,
        offset: int,
    ) -> Found[FlowHeader]:
        counted = select(func.count()).select_from(FLOWS).where(which)
        mine = select(FLOWS.c.id).where(which).order_by(*order)
        chosen = part(mine, limit=limit, offset=offset).subquery()
        so_far = func.sum(_SIZE).over(order_by=order)
        document = case((so_far <= TOGETHER, FLOWS.c.document), else_=null())
        query = (
            select(*_HEADER, document, counted.scalar_subquery())
            .join(chosen, chosen.c.id == FLOWS.c.id)
            .order_by(*order)
        )
        rows = await self._all(query)
        if not rows:  # behind the end no row says how many there are
            return Found((), (await self._first(counted) or (0,))[0] if offset else 0)
        return Found((_header(row[:-1]) for row in rows), rows[0][-1])


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
