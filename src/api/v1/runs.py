"""Runs as they are: their list, their state, and their own events."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED, HTTP_204_NO_CONTENT

from api.given import Given
from api.problems import Refusal
from api.requests import Answers, page_of
from api.security import RUN, WATCH
from api.streams import RunStreams
from api.v1.build import UNBUFFERED
from api.v1.run import EVENT_STREAM
from api.v1.run_shapes import RunRequest
from application.execution.flows import FlowsToRun
from application.names import Name
from application.permissions import NotFoundError, person
from application.ports import Actor, Cause
from application.runs import Runs
from domain.run.tweaks import ConflictingTweakError
from projections.runs.views import RunRow, RunViews

LARGEST = 100


class NewRun(RunRequest, frozen=True, kw_only=True):
    """
    A run to be: of which flow, by id or endpoint name, and with what.

    ``stream`` lets models speak token by token, for those who watch.
    """

    flow: Name
    stream: bool = True


class StartedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was asked for."""

    id: UUID


class RunsController(Controller):
    """Questions go to the view; events come from the run's own stream."""

    path = "/runs"
    tags = ("Runs",)

    @post("/", status_code=HTTP_202_ACCEPTED, opt=RUN)
    async def start(
        self,
        *,
        data: RequestBody[NewRun],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        runs: Given[Runs],
        answers: Given[Answers],
    ) -> Response[StartedRun]:
        """Have a flow of one's own run, by id or endpoint name; answer at once."""
        try:
            flow = await flows_to_run.named(actor, data.flow)
        except NotFoundError:
            raise Refusal(404, f"Flow identifier {data.flow} not found") from None
        try:
            requested = await runs.request(
                flow, data.asked(stream=data.stream), trigger="run", cause=cause
            )
        except ConflictingTweakError as error:
            raise Refusal(400, error.sentence) from None
        await answers.settle(requested.position)
        return Response(
            StartedRun(id=requested.run),
            headers={"Location": f"/api/v1/runs/{requested.run}"},
        )

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
        if run.end is not None and run.end <= last <= run.version:
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
