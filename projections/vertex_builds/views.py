"""What can be asked about vertex builds."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import or_, select

from domain.kernel import ContentRef
from projections.reading import Found, Views, younger
from projections.vertex_builds.tables import BUILDS, CLEARED


class BuildRow(msgspec.Struct, frozen=True):
    """What a vertex came to when it was last built; JSON under ``content``."""

    build_id: UUID
    vertex: str
    flow_id: UUID
    run_id: UUID
    valid: bool
    content: ContentRef
    at: datetime


class BuildViews(Views):
    """Questions about vertex builds."""

    async def latest(
        self, flow: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[BuildRow]:
        """
        Return the newest build of each vertex since they were last cleared.

        They come oldest first; of too many the newest, less the *offset* last ones.
        """
        query = (
            select(BUILDS)
            .outerjoin(CLEARED, CLEARED.c.flow_id == BUILDS.c.flow_id)
            .where(BUILDS.c.flow_id == flow)
            .where(or_(CLEARED.c.at.is_(None), CLEARED.c.at < BUILDS.c.at))
            .where(younger(BUILDS.c.at, self._keeping.builds))
            .order_by(BUILDS.c.position.desc())
        )
        rows, total = await self._page(query, limit=limit, offset=offset)
        return Found(map(_build, reversed(rows)), total)


def _build(row: Any) -> BuildRow:
    return BuildRow(
        build_id=row.build_id,
        vertex=row.vertex,
        flow_id=row.flow_id,
        run_id=row.run_id,
        valid=row.valid,
        content=ContentRef(row.content_id, row.content_digest, row.content_size),
        at=row.at,
    )
