"""What can be asked about publications."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select

from projections.publications.tables import PUBLICATIONS
from projections.reading import Views

MOST: Final = 1_000
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

    async def of_flow(self, flow: UUID) -> list[PublicationRow]:
        """Return where a flow is published or was, the latest first."""
        its = select(PUBLICATIONS).where(PUBLICATIONS.c.flow_id == flow)
        latest = its.order_by(PUBLICATIONS.c.published_at.desc(), PUBLICATIONS.c.id)
        return [PublicationRow(*row) for row in await self._all(latest.limit(MOST))]

    async def active(self, owner: UUID) -> Sequence[UUID]:
        """Return the flows of an owner that are published now, the latest first."""
        theirs = (
            select(PUBLICATIONS.c.flow_id, PUBLICATIONS.c.published_at)
            .where(PUBLICATIONS.c.owner == owner)
            .where(PUBLICATIONS.c.status == "ACTIVE")
            .order_by(PUBLICATIONS.c.published_at.desc(), PUBLICATIONS.c.id)
        )
        rows = await self._all(theirs.limit(MOST))
        return list(dict.fromkeys(row.flow_id for row in rows))
