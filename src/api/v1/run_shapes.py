"""What runs by API are asked and answered, whichever door they come by."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from api.chat_events import failing
from api.problems import Refusal, problem
from api.v1.system import PACKAGE
from application.names import Name
from application.ports import Contents
from application.runs import Ended
from domain.kernel import Json
from domain.run.asked import Asked

Names = Annotated[list[Name], msgspec.Meta(max_length=1_000)]

OUR_VERSION: Final = version(PACKAGE)
BORROWED: Final = ("x-langbuilder-global-var-", "x-langflow-global-var-")


def no_variables_in_headers(
    connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
) -> None:
    """Refuse to pass over in silence a variable that a header brings."""
    if any(name.lower().startswith(BORROWED) for name in connection.headers):
        raise Refusal(
            400,
            "Global variables do not come in headers here: define them with "
            "/api/v1/variables, or set the fields by tweaks",
        )


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow is run with; everything may be left out."""

    input_value: str | None = None
    input_type: Literal["chat", "text", "any"] | None = "chat"
    output_type: Literal["chat", "text", "any", "debug"] | None = "chat"
    output_component: str | None = ""
    tweaks: dict[str, Any] | None = None
    session_id: Name | None = None

    def asked(self, *, stream: bool) -> Asked:
        """Return what this asks of a run."""
        return Asked(
            input_value=self.input_value,
            input_type=self.input_type or "chat",
            output_type=self.output_type or "chat",
            output_component=self.output_component or "",
            tweaks=self.tweaks or {},
            session=self.session_id,
            stream=stream,
            whole_run=True,
        )


class RunInput(msgspec.Struct, frozen=True, kw_only=True):
    """One of the inputs of an advanced run, for which the flow runs once."""

    components: Names | None = None
    input_value: str | None = None
    type: Literal["chat", "text", "any"] | None = "any"
    session: Name | None = None


class AdvancedRunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    Inputs to run a flow with one after the other, and what to answer with.

    ``outputs`` are ids or display names of vertices; without them every output
    vertex answers. ``session_id`` is one that the flow has already.
    """

    inputs: Annotated[list[RunInput], msgspec.Meta(max_length=100)] | None = None
    outputs: Names | None = None
    tweaks: dict[str, Any] | None = None
    stream: bool | None = False
    session_id: Name | None = None

    def each(self) -> list[Asked]:
        """Return what this asks of each run; without inputs there is one."""
        return [
            Asked(
                input_value=one.input_value,
                input_type=one.type or "any",
                output_type="any",
                outputs=tuple(self.outputs or ()),
                components=tuple(one.components or ()),
                session=one.session or self.session_id,
                tweaks=self.tweaks or {},
                stream=bool(self.stream),
                whole_run=True,
            )
            for one in self.inputs or [RunInput()]
        ]


class VertexOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """What one vertex answers with; ``results`` by the names of its outputs."""

    results: dict[str, Any]
    artifacts: Any
    outputs: dict[str, Any]
    logs: dict[str, Any]
    messages: list[dict[str, Any]]
    component_display_name: str
    component_id: str
    used_frozen_result: bool
    timedelta: float | None = None
    duration: str | None = None


class RunOutputs(msgspec.Struct, frozen=True, kw_only=True):
    """What one input came to."""

    inputs: dict[str, Any]
    outputs: list[VertexOutputs]


class RunAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a run answers with."""

    session_id: str
    outputs: list[RunOutputs]


ANSWERED: Final = {200: ResponseSpec(RunAnswer, description="What the flow answers")}


async def outputs_of(
    ended: Ended, contents: Contents, document: Json, headers: Mapping[str, str]
) -> bytes | Response[Any]:
    """Return the answer of a run that succeeded as JSON, or the refusal it comes to."""
    ref = ended.outputs or ended.failure
    opened = None if ref is None else (await contents.open([ref.id])).get(ref.id)
    if ended.status == "succeeded":
        if opened is None:
            raise Refusal(410, "The outputs of this run have been deleted")
        return opened
    cancelled = ended.status == "cancelled"
    said = "The run was cancelled." if cancelled else failing(opened).message
    suggestion = None if cancelled else _suggestion(document)
    return problem(500, _error_text(said, suggestion), dict(headers))


def _error_text(message: str, suggestion: str | None) -> str:
    """Return an error as clients of these routes know it: JSON inside a text."""
    return json.dumps(
        {
            "message": message,
            "traceback": None,
            "description": None,
            "code": None,
            "suggestion": suggestion,
        }
    )


def _suggestion(document: Json) -> str | None:
    """Return what to try: components drawn for another server may be out of date."""
    nodes = document.get("nodes") if isinstance(document, dict) else None
    dated = [
        str(node.get("id"))
        for node in nodes or ()
        if isinstance(node, dict) and _version_of(node) not in (None, OUR_VERSION)
    ]
    if not dated:
        return None
    return (
        f"The flow has {len(dated)} components that were drawn for another version: "
        f"{', '.join(dated[:20])}. Update them in the editor."
    )


def _version_of(node: Mapping[str, Json]) -> str | None:
    data = node.get("data")
    drawn = data.get("node") if isinstance(data, dict) else None
    version = drawn.get("lf_version") if isinstance(drawn, dict) else None
    return version if isinstance(version, str) else None
