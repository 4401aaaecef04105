"""What can be asked about runs."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, or_, select

from application.departures import Visit
from domain.run.events import Trigger
from projections.reading import Views, younger
from projections.runs.tables import RUNS

type Status = Literal[
    "requested", "claimed", "cancelling", "succeeded", "failed", "cancelled"
]


class RunRow(msgspec.Struct, frozen=True):
    """
    A run.

    ``reason`` is the slug of why it failed; ``version`` the version in its stream
    that this row shows, not counting the steps of vertices.
    """

    id: UUID
    flow_id: UUID
    flow_name: str
    owner: UUID
    session: str
    trigger: Trigger
    status: Status
    reason: str | None
    flow_version: int | None
    requested_at: datetime
    claimed_at: datetime | None
    ended_at: datetime | None
    version: int


_COLUMNS = [column for column in RUNS.c if column.name != "position"]


class RunViews(Views):
    """Questions about runs."""

    async def get(self, run_id: UUID) -> RunRow | None:
        """Return a run, if there is one of this id."""
        row = await self._first(self._runs().where(RUNS.c.id == run_id))
        return None if row is None else RunRow(*row)

    async def page(
        self, owner: UUID, *, flow: UUID | None = None, page: int = 1, size: int = 50
    ) -> tuple[list[RunRow], int]:
        """Return a page (from 1) of an owner's runs, newest first, and their number."""
        query = self._runs().where(RUNS.c.owner == owner)
        if flow is not None:
            query = query.where(RUNS.c.flow_id == flow)
        rows, total = await self._page(
            query.order_by(RUNS.c.position.desc()),
            limit=size,
            offset=(page - 1) * size,
        )
        return [RunRow(*row) for row in rows], total

    async def unfinished(self) -> list[RunRow]:
        """Return the runs that have not ended, oldest first."""
        query = select(*_COLUMNS).where(RUNS.c.ended_at.is_(None))
        rows = await self._all(query.order_by(RUNS.c.position))
        return [RunRow(*row) for row in rows]

    async def visits_over(self, before: datetime, *, limit: int) -> list[Visit]:
        """Return visits whose last run has ended, and was asked for before then."""
        runs = func.array_agg(RUNS.c.id)
        query = (
            select(RUNS.c.flow_id, runs)
            .where(RUNS.c.trigger == "public")
            .group_by(RUNS.c.flow_id)
            .having(func.max(RUNS.c.requested_at) < before)
            .having(func.count(RUNS.c.ended_at) == func.count())
            .limit(limit)
        )
        return [Visit(flow, tuple(ids)) for flow, ids in await self._all(query)]

    def _runs(self) -> Select[Any]:
        """Return the query of runs that are shown: the old ones have been archived."""
        kept = younger(RUNS.c.requested_at, self._keeping.runs)
        return select(*_COLUMNS).where(or_(RUNS.c.ended_at.is_(None), kept))
