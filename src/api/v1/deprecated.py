"""Routes of old that clients may still try, and what to use instead."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from litestar import Controller, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream

from api.chat_events import BuildEvents
from api.given import Given
from api.problems import Refusal
from api.security import READ, RUN
from api.streams import RunStreams
from api.v1.build import UNBUFFERED, BuildRequest
from application.execution.flows import FlowsToRun
from application.permissions import NotFoundError
from application.ports import Actor, Cause, Contents
from application.runs import Runs
from domain.kernel import Json
from domain.run.graph import Graph, GraphError
from domain.run.schedule import plan
from projections.vertex_builds.views import BuildViews

EVENT_STREAM = "text/event-stream"
WORDS = (
    "The /{route} endpoint is deprecated and will be removed in a future version. "
    "Please use /run instead."
)

Drawn = Annotated[list[dict[str, Any]], msgspec.Meta(max_length=10_000)]


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """The vertices and edges of a canvas that may not be saved."""

    nodes: Drawn
    edges: Drawn


class ToBuild(msgspec.Struct, frozen=True, kw_only=True):
    """The first vertices of a run, and all that it would build."""

    ids: list[str]
    run_id: UUID
    vertices_to_run: list[str]


class VertexBuild(msgspec.Struct, frozen=True, kw_only=True):
    """What a vertex came to."""

    id: str
    valid: bool
    inactivated_vertices: list[str] = []
    next_vertices_ids: list[str] = []
    top_level_vertices: list[str] = []
    params: Any = None
    data: Any = None
    timestamp: str = ""


BUILT = {200: ResponseSpec(VertexBuild, description="What it came to")}
TOLD = {200: ResponseSpec(str, media_type=EVENT_STREAM, description="Its text")}


class DeprecatedController(Controller):
    """Nothing new belongs here."""

    tags = ("Deprecated",)
    opt = RUN

    @post("/process/{flow_id:str}", status_code=200, deprecated=True)
    async def process(self) -> None:
        """Say that this route is gone, and what took its place."""
        raise Refusal(400, WORDS.format(route="process"))

    @post("/predict/{flow_id:str}", status_code=200, deprecated=True)
    async def predict(self) -> None:
        """Say that this route is gone, and what took its place."""
        raise Refusal(400, WORDS.format(route="process"))

    @get("/task/{task_id:str}", deprecated=True, opt={"refuses": (400,)})
    async def task(self) -> None:
        """Say that this route is gone, and what took its place."""
        raise Refusal(400, WORDS.format(route="task"))

    @post(
        "/build/{flow_id:str}/vertices",
        status_code=200,
        deprecated=True,
        opt={"refuses": (500,)},
    )
    async def vertices(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        flows_to_run: Given[FlowsToRun],
        data: RequestBody[Drawing | None] = None,
        start_component_id: FromQuery[str | None] = None,
        stop_component_id: FromQuery[str | None] = None,
    ) -> ToBuild:
        """Tell which vertices a run would begin with, and which it would build."""
        try:
            flow = await flows_to_run.head(actor, flow_id)
        except NotFoundError:
            raise Refusal(500, f"Flow with id {flow_id} not found") from None
        document: Json = flow.document
        if data is not None:
            document = msgspec.to_builtins(data)
        try:
            chosen = plan(
                Graph.of(document),
                start=start_component_id or None,
                stop=stop_component_id or None,
            )
        except GraphError as error:
            raise Refusal(400, error.text) from None
        return ToBuild(
            ids=list(chosen.first),
            run_id=uuid4(),
            vertices_to_run=list(chosen.to_run),
        )

    @post(
        "/build/{flow_id:str}/vertices/{vertex_id:str}",
        status_code=200,
        deprecated=True,
        responses=BUILT,
        opt={"refuses": (500,)},
    )
    async def vertex(
        self,
        *,
        flow_id: FromPath[UUID],
        vertex_id: FromPath[str],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        runs: Given[Runs],
        streams: Given[RunStreams],
        data: RequestBody[BuildRequest | None] = None,
    ) -> Response[dict[str, Any]]:
        """Run a flow as far as one vertex, and tell what that came to."""
        try:
            flow = await flows_to_run.head(actor, flow_id)
        except NotFoundError:
            raise Refusal(500, f"Flow with id {flow_id} not found") from None
        request = data or BuildRequest()
        requested = await runs.request(
            flow,
            request.asked(None, vertex_id),
            trigger="build",
            cause=cause,
            document=request.data or None,
        )
        built = await _built(streams, requested.run, vertex_id)
        if built is None:
            raise Refusal(500, f"Vertex {vertex_id} was not built")
        return Response(built, headers={"X-Run-Id": str(requested.run)})

    @get(
        "/build/{flow_id:str}/{vertex_id:str}/stream",
        deprecated=True,
        opt=READ,
        responses=TOLD,
    )
    async def stream(
        self,
        *,
        flow_id: FromPath[UUID],
        vertex_id: FromPath[str],
        actor: Given[Actor],
        flows_to_run: Given[FlowsToRun],
        build_views: Given[BuildViews],
        contents: Given[Contents],
    ) -> Stream:
        """Tell what a vertex last came to, as server-sent events."""
        try:
            flow = await flows_to_run.head(actor, flow_id)
        except NotFoundError:
            raise Refusal(404, f"Flow with id {flow_id} not found") from None
        text = await _last_text(flow.id, vertex_id, build_views, contents)
        return Stream(_as_events(text), media_type=EVENT_STREAM, headers=UNBUFFERED)


async def _built(streams: RunStreams, run: UUID, vertex: str) -> dict[str, Any] | None:
    """Return what *vertex* came to the last time that *run* built it."""
    built: dict[str, Any] | None = None
    async with aclosing(streams.told(run, BuildEvents())) as stream:
        async for told in stream:
            for name, data in told.frames:
                if name == "end_vertex" and data["build_data"]["id"] == vertex:
                    built = data["build_data"]
    return built


class _Shown(msgspec.Struct):
    message: Json = None


class _Data(msgspec.Struct):
    outputs: dict[str, _Shown] = {}


class _Build(msgspec.Struct):
    data: _Data = msgspec.field(default_factory=_Data)


async def _last_text(
    flow: UUID, vertex: str, views: BuildViews, contents: Contents
) -> str | None:
    for row in await views.latest(flow):
        if row.vertex == vertex and row.valid:
            opened = await contents.open([row.content.id])
            build = msgspec.json.decode(opened.get(row.content.id, b"{}"), type=_Build)
            shown = [one.message for one in build.data.outputs.values()]
            return next((one for one in shown if isinstance(one, str)), None)
    return None


async def _as_events(text: str | None) -> AsyncGenerator[bytes]:
    if text is None:
        yield _event("error", {"error": "This vertex has said nothing yet"})
    else:
        yield _event("message", {"chunk": text})
    yield _event("close", {"message": "Stream closed"})


def _event(name: str, data: dict[str, str]) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
