"""Runs from the playground: build a flow, follow its events, cancel it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream

from api.given import Given
from api.polls import Polls
from api.problems import Refusal
from api.security import RUN, WATCH, visiting, visitor_of
from api.streams import RunStreams
from application.execution.flows import FlowsToRun, FlowToRun
from application.names import Name
from application.permissions import NotFoundError
from application.ports import Actor, Cause
from application.runs import Runs
from application.visits import Visits, in_their_stead
from domain.kernel import Json
from domain.run.asked import Asked

AnyRequest = Request[Any, Any, Any]

type Delivery = Literal["streaming", "polling", "direct"]

NDJSON = "application/x-ndjson"
UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

Names = Annotated[list[Name], msgspec.Meta(max_length=1_000)]


class BuildInputs(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """What the chat was told, and in which session."""

    components: Names = []
    input_value: str | None = None
    session: Name | None = None
    type: Literal["chat", "text", "any"] | None = "any"


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """``data`` is the canvas as it is, saved or not; without it the saved flow runs."""

    inputs: BuildInputs | None = None
    data: dict[str, Any] | None = None
    files: Names | None = None

    def asked(self, start: str | None, stop: str | None) -> Asked:
        """Return what this asks of a run."""
        inputs = self.inputs or BuildInputs()
        return Asked(
            input_value=inputs.input_value,
            input_type=inputs.type or "any",
            components=tuple(inputs.components),
            session=inputs.session,
            files=tuple(self.files or ()),
            start=start or None,
            stop=stop or None,
        )


class BegunRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that was begun."""

    job_id: UUID


BEGUN = {200: ResponseSpec(BegunRun, description="The run was begun")}


class BuildController(Controller):
    """Commands go to `Runs`; what happens is read from the run's stream."""

    path = "/build"
    tags = ("Runs",)

    @post("/{flow_id:str}/flow", status_code=200, opt=RUN, responses=BEGUN)
    async def build(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        runs: Given[Runs],
        streams: Given[RunStreams],
        data: RequestBody[BuildRequest | None] = None,
        event_delivery: FromQuery[Delivery] = "polling",
        start_component_id: FromQuery[str | None] = None,
        stop_component_id: FromQuery[str | None] = None,
    ) -> Response[Any]:
        """Start a run; answer with its id, or directly with its events."""
        request = data or BuildRequest()
        flow = await _flow_to_build(actor, flow_id, flows_to_run)
        document: Json = request.data or None
        requested = await runs.request(
            flow,
            request.asked(start_component_id, stop_component_id),
            trigger="build",
            cause=cause,
            document=document,
        )
        if event_delivery != "direct":
            return Response({"job_id": requested.run})
        lines = direct(requested.run, streams, runs, cause)
        return Stream(lines, media_type=NDJSON, headers=UNBUFFERED)

    @post("/{flow_id:str}", status_code=200, opt=RUN, responses=BEGUN)
    async def build_by_seed_name(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        runs: Given[Runs],
        data: RequestBody[BuildRequest | None] = None,
    ) -> BegunRun:
        """Start a run, at the address of the seed documents; answer with its id."""
        request = data or BuildRequest()
        requested = await runs.request(
            await _flow_to_build(actor, flow_id, flows_to_run),
            request.asked(None, None),
            trigger="build",
            cause=cause,
            document=request.data or None,
        )
        return BegunRun(job_id=requested.run)

    @get("/{job_id:str}/events", opt=WATCH)
    async def events(
        self,
        *,
        job_id: FromPath[UUID],
        request: AnyRequest,
        actor: Given[Actor],
        runs: Given[Runs],
        visits: Given[Visits],
        streams: Given[RunStreams],
        polls: Given[Polls],
        event_delivery: FromQuery[Delivery] = "streaming",
        after: FromQuery[int | None] = None,
    ) -> Response[Any]:
        """Tell what happens in a run, from its beginning; or what is new, if polled."""
        try:
            await _require(request, job_id, runs, visits)
        except NotFoundError:
            raise _no_job(job_id) from None
        if event_delivery == "polling":
            lines = await polls.poll(job_id, reader_of(actor), after=after)
            return Response(lines, media_type=NDJSON)
        return Stream(
            streams.build_events(job_id), media_type=NDJSON, headers=UNBUFFERED
        )

    @post("/{job_id:str}/cancel", status_code=200, opt=RUN)
    async def cancel(
        self,
        *,
        job_id: FromPath[UUID],
        request: AnyRequest,
        cause: Given[Cause],
        runs: Given[Runs],
        visits: Given[Visits],
    ) -> dict[str, Any]:
        """Stop a run; one that has ended already stays as it is."""
        try:
            if await _require(request, job_id, runs, visits):
                cause = in_their_stead()
            stopped = await runs.cancel(job_id, cause=cause)
        except NotFoundError:
            raise _no_job(job_id) from None
        if stopped:
            return {"success": True, "message": "Flow build cancelled successfully"}
        return {"success": False, "message": "Failed to cancel flow build"}


async def _require(
    request: AnyRequest, job_id: UUID, runs: Runs, visits: Visits
) -> bool:
    """Raise `NotFoundError` unless a run is who asks'; tell whether they visit."""
    try:
        await runs.require(request.state.actor, job_id)
    except NotFoundError:
        client = visitor_of(request)
        if client is None:
            raise
        visiting(request, await visits.require(client, job_id))
        return True
    return False


async def _flow_to_build(
    actor: Actor, flow_id: UUID, flows_to_run: FlowsToRun
) -> FlowToRun:
    try:
        return await flows_to_run.head(actor, flow_id)
    except NotFoundError:
        raise Refusal(404, f"Flow with id {flow_id} not found") from None


def reader_of(actor: Actor) -> str:
    """Return what tells one reader of a run from another."""
    return f"{actor.user}/{actor.credential}"


def _no_job(job_id: UUID) -> Refusal:
    said = f"Job not found: Job queue not found for job_id: {job_id}"
    return Refusal(404, said)


async def direct(
    run: UUID, streams: RunStreams, runs: Runs, cause: Cause
) -> AsyncGenerator[bytes]:
    """Yield a run's events to the only client that waits for it."""
    told = False
    try:
        async with aclosing(streams.build_events(run)) as lines:
            async for line in lines:
                yield line
        told = True
    finally:
        if not told:
            runs.abandon(run, cause=cause)
