"""Runs as they are: their list, their state, and their own events."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from litestar.status_codes import HTTP_204_NO_CONTENT

from api.given import Given
from api.requests import page_of
from api.security import WATCH
from api.streams import RunStreams
from api.v1.build import UNBUFFERED
from api.v1.run import EVENT_STREAM
from application.permissions import NotFoundError, person
from application.ports import Actor
from application.runs import Runs
from projections.runs.views import RunRow, RunViews

LARGEST = 100


class RunsController(Controller):
    """Questions go to the view; events come from the run's own stream."""

    path = "/runs"
    tags = ("Runs",)

    @get("/")
    async def many(
        self,
        *,
        actor: Given[Actor],
        run_views: Given[RunViews],
        flow_id: FromQuery[UUID | None] = None,
        page: FromQuery[int] = 1,
        size: FromQuery[int] = 50,
    ) -> dict[str, Any]:
        """List one's runs, newest first."""
        page, size = max(page, 1), min(max(size, 1), LARGEST)
        owner = person(actor)
        rows, total = await run_views.page(owner, flow=flow_id, page=page, size=size)
        return page_of(rows, total=total, page=page, size=size)

    @get("/{run_id:str}", opt=WATCH)
    async def one(
        self,
        *,
        run_id: FromPath[UUID],
        actor: Given[Actor],
        runs: Given[Runs],
        run_views: Given[RunViews],
    ) -> RunRow:
        """Tell how a run stands."""
        await runs.require(actor, run_id)
        row = await run_views.get(run_id)
        if row is None:
            raise NotFoundError("run", run_id)
        return row

    @get("/{run_id:str}/events", opt=WATCH)
    async def events(
        self,
        *,
        run_id: FromPath[UUID],
        request: Request[Any, Any, Any],
        actor: Given[Actor],
        runs: Given[Runs],
        streams: Given[RunStreams],
        after: FromQuery[int | None] = None,
    ) -> Response[Any]:
        """
        Tell a run's events as server-sent events, after ``Last-Event-ID``.

        A reader who has everything of a run that has ended gets 204, which tells
        browsers not to come again.
        """
        run = await runs.get(actor, run_id)
        last = _last_seen(request, after)
        if run.ended and last == run.version:
            return Response(None, status_code=HTTP_204_NO_CONTENT)
        return Stream(
            streams.events(run_id, after=last),
            media_type=EVENT_STREAM,
            headers=UNBUFFERED,
        )


def _last_seen(request: Request[Any, Any, Any], after: int | None) -> int:
    """Return the version a reader has; what is no version counts as none."""
    said = request.headers.get("last-event-id", "")
    if said.isascii() and said.isdigit():
        return int(said[:18])
    return max(after or 0, 0)
