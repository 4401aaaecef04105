"""Shapes of answers that handlers put together from parts, told for the document."""

from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from api.v1.flow_shapes import FlowHead, FlowRead, ProjectRead
from projections.runs.views import RunRow

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
EVENT_STREAM: Final = "text/event-stream"
ZIP: Final = "application/x-zip-compressed"
OCTETS: Final = "application/octet-stream"

BYTES: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
LINES: Final[dict[str, Any]] = {"type": "string"}
EVENTS: Final[dict[str, Any]] = {"description": "Server-sent events"}
TEXT: Final[dict[str, Any]] = {"type": "string", "description": "The file as a text"}


class FlowPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of flows."""

    items: list[FlowRead]
    total: int
    page: int
    size: int
    pages: int


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """A project with a page of its flows."""

    folder: ProjectRead
    flows: FlowPage


class WholeProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project with all its flows."""

    id: UUID
    name: str
    description: str | None
    auth_settings: dict[str, Any] | None
    parent_id: UUID | None
    flows: list[FlowRead]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was said in a session."""

    id: UUID
    flow_id: UUID
    timestamp: str
    sender: str
    sender_name: str
    session_id: str
    text: str
    files: str | list[str]
    edit: bool
    properties: dict[str, Any]
    category: str
    content_blocks: list[Any]
    error: bool | None = None
    duration: int | None = None


class VertexBuild(msgspec.Struct, frozen=True, kw_only=True):
    """What a vertex came to."""

    id: str
    build_id: UUID
    flow_id: UUID
    timestamp: str
    valid: bool
    params: str | None
    data: dict[str, Any]
    artifacts: dict[str, Any]


class VertexBuilds(msgspec.Struct, frozen=True, kw_only=True):
    """What each vertex of a flow came to, the last time."""

    vertex_builds: dict[str, list[VertexBuild]]


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a vertex read, and what it made of it."""

    id: UUID
    flow_id: UUID
    vertex_id: str
    target_id: str | None
    timestamp: str
    inputs: dict[str, Any] | None
    outputs: dict[str, Any] | None
    status: Literal["success", "error"]
    error: str | None


class TransactionPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of transactions, oldest first."""

    items: list[Transaction]
    total: int
    page: int
    size: int
    pages: int


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of runs, newest first."""

    items: list[RunRow]
    total: int
    page: int
    size: int
    pages: int


class JobId(msgspec.Struct, frozen=True, kw_only=True):
    """The run that was started."""

    job_id: UUID


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the run was stopped."""

    success: bool
    message: str


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """A component as the editor places it, and its type."""

    data: dict[str, Any]
    type: str


class PromptChecked(msgspec.Struct, frozen=True, kw_only=True):
    """The variables of a template, and the component with a field for each."""

    input_variables: list[str]
    frontend_node: dict[str, Any] | None


ANYTHING: Final[dict[str, Any]] = {"type": "object"}
LIST_OF_FLOWS: Final = (list[FlowRead],)

type Shapes = tuple[Any, ...]
"""Structs, or schemas where no Struct says it; any of them."""

_PROJECT: Final[dict[str, Shapes]] = {JSON: (WholeProject, ProjectPage)}
_ZIP: Final[dict[str, Shapes]] = {ZIP: (BYTES,)}

TOLD: Final[dict[str, dict[str, Shapes]]] = {
    "GET /api/v1/flows": {JSON: (list[FlowRead], list[FlowHead], FlowPage)},
    "GET /api/v1/flows/basic_examples": {JSON: LIST_OF_FLOWS},
    "GET /api/v1/flows/headers": {JSON: (list[FlowHead],)},
    "GET /api/v1/flows/download": {JSON: (ANYTHING,), ZIP: (BYTES,)},
    "POST /api/v1/flows/download": {JSON: (ANYTHING,), ZIP: (BYTES,)},
    "GET /api/v1/projects/{project_id}": _PROJECT,
    "GET /api/v1/folders/{project_id}": _PROJECT,
    "GET /api/v1/projects/download/{project_id}": _ZIP,
    "GET /api/v1/folders/download/{project_id}": _ZIP,
    "GET /api/v1/folders/download": _ZIP,
    "GET /api/v1/chat/{flow_id}/messages": {JSON: (list[Message],)},
    "GET /api/v1/monitor/builds": {JSON: (VertexBuilds,)},
    "GET /api/v1/monitor/messages": {JSON: (list[Message],)},
    "PUT /api/v1/monitor/messages/{message_id}": {JSON: (Message,)},
    "PATCH /api/v1/monitor/messages/session/{session}": {JSON: (list[Message],)},
    "GET /api/v1/monitor/transactions": {JSON: (TransactionPage,)},
    "GET /api/v1/all": {JSON: (ANYTHING,)},
    "POST /api/v1/custom_component": {JSON: (Component,)},
    "POST /api/v1/custom_component/update": {JSON: (ANYTHING,)},
    "POST /api/v1/validate/prompt": {JSON: (PromptChecked,)},
    "POST /api/v1/build/{flow_id}/flow": {JSON: (JobId,), NDJSON: (LINES,)},
    "POST /api/v1/build_public_tmp/{flow_id}/flow": {JSON: (JobId,), NDJSON: (LINES,)},
    "GET /api/v1/build/{job_id}/events": {NDJSON: (LINES,)},
    "POST /api/v1/build/{job_id}/cancel": {JSON: (Cancelled,)},
    "GET /api/v1/runs": {JSON: (RunPage,)},
    "GET /api/v1/runs/{run_id}/events": {EVENT_STREAM: (EVENTS,)},
    "GET /api/v1/files/download/{flow_id}/{file_name}": {OCTETS: (BYTES,)},
    "GET /api/v1/files/images/{flow_id}/{file_name}": {"image/*": (BYTES,)},
    "GET /api/v1/files/profile_pictures/{folder}/{file_name}": {
        "image/svg+xml": (LINES,)
    },
    "GET /api/v2/files/{file_id}": {OCTETS: (BYTES,), JSON: (TEXT,)},
    "POST /api/v2/files/batch": _ZIP,
}
"""Operations, and the shapes of their answers by media type."""


def shapes_of(name: str, schemas: dict[str, Any]) -> dict[str, Any] | None:
    """Return the content of an operation's answer; new schemas are put in *schemas*."""
    told = TOLD.get(name)
    if told is None:
        return None
    return {kind: {"schema": _any_of(told[kind], schemas)} for kind in told}


def _any_of(shapes: Shapes, schemas: dict[str, Any]) -> dict[str, Any]:
    found = [one if isinstance(one, dict) else _schema(one, schemas) for one in shapes]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _schema(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    (schema,), components = msgspec.json.schema_components(
        [shape], ref_template="#/components/schemas/{name}"
    )
    for name, component in components.items():
        schemas.setdefault(name, component)
    return dict(schema)
