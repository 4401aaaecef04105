"""What can be asked about publications."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select

from projections.publications.tables import PUBLICATIONS
from projections.reading import Found, Views

"""How many publications one answer holds."""


class PublicationRow(msgspec.Struct, frozen=True):
    """Where a flow is published, or was."""

    id: UUID
    flow_id: UUID
    owner: UUID
    platform: str
    platform_url: str
    external_id: str
    model_name: str
    published_at: datetime
    published_by: str | None
    status: str
    last_sync_at: datetime
    error: str | None


class PublicationViews(Views):
    """Questions about publications."""

    async def of_flow(
        self, flow: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[PublicationRow]:
        """Return where a flow is published or was, the latest first."""
        its = select(PUBLICATIONS).where(PUBLICATIONS.c.flow_id == flow)
        latest = its.order_by(PUBLICATIONS.c.published_at.desc(), PUBLICATIONS.c.id)
        rows, total = await self._page(latest, limit=limit, offset=offset)
        return Found((PublicationRow(*row) for row in rows), total)

    async def active(
        self, owner: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[UUID]:
        """Return the flows of an owner that are published now, the latest first."""
        flow, last = PUBLICATIONS.c.flow_id, func.max(PUBLICATIONS.c.published_at)
        theirs = (
            select(flow)
            .where(PUBLICATIONS.c.owner == owner)
            .where(PUBLICATIONS.c.status == "ACTIVE")
            .group_by(flow)
            .order_by(last.desc(), flow)
        )
        rows, total = await self._page(theirs, limit=limit, offset=offset)
        return Found((flow_id for (flow_id,) in rows), total)
