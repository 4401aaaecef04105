"""What can have happened to a flow: every edit of its document, and its settings."""

from typing import ClassVar, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from domain.kernel import Event, Json

type Access = Literal["PRIVATE", "PUBLIC"]
type Path = tuple[str | int, ...]
"""Keys and indexes from the top of a vertex or edge down to one field."""

ABSENT = UNSET


class FlowCreated(Event, frozen=True, kw_only=True, tag="flow.created"):
    """
    A flow began, with the document it was given (secrets by reference).

    ``document`` is ``None``, ``{}`` or an object with ``nodes`` and ``edges``,
    without canvas state.
    """

    owner: UUID
    project: UUID
    name: str
    document: Json = None
    description: str | None = None
    icon: str | None = None
    icon_bg_color: str | None = None
    gradient: str | None = None
    tags: tuple[str, ...] | None = None
    endpoint_name: str | None = None
    is_component: bool = False
    webhook: bool = False
    locked: bool = False
    access: Access = "PRIVATE"
    mcp_enabled: bool = False
    action_name: str | None = None
    action_description: str | None = None


class FlowImported(FlowCreated, frozen=True, kw_only=True, tag="flow.imported"):
    """A flow began from an uploaded file."""

    source_id: str | None = None
    last_tested_version: str | None = None


class FlowRenamed(Event, frozen=True, kw_only=True, tag="flow.renamed"):
    name: str


class FlowDescribed(Event, frozen=True, kw_only=True, tag="flow.described"):
    """What people see of a flow in lists changed; absent fields did not."""

    description: str | UnsetType | None = ABSENT
    icon: str | UnsetType | None = ABSENT
    icon_bg_color: str | UnsetType | None = ABSENT
    gradient: str | UnsetType | None = ABSENT
    tags: tuple[str, ...] | UnsetType | None = ABSENT


class FlowMoved(Event, frozen=True, kw_only=True, tag="flow.moved"):
    project: UUID


class VertexAdded(Event, frozen=True, kw_only=True, tag="flow.vertex_added"):
    """``vertex`` is the whole node as the editor draws it, at ``index`` in order."""

    vertex: Json
    index: int


class VertexConfigured(Event, frozen=True, kw_only=True, tag="flow.vertex_configured"):
    """
    One field inside a vertex changed.

    ``before`` or ``after`` absent: the key was added or removed. ``at`` present:
    both are texts and stand for the differing middle, from that code point on.
    """

    vertex: str
    path: Path
    before: Json | UnsetType = msgspec.field(name="from", default=ABSENT)
    after: Json | UnsetType = msgspec.field(name="to", default=ABSENT)
    at: int | UnsetType = ABSENT


class VertexMoved(Event, frozen=True, kw_only=True, tag="flow.vertex_moved"):
    vertex: str
    before: Json = msgspec.field(name="from", default=None)
    after: Json = msgspec.field(name="to", default=None)


class VertexRemoved(Event, frozen=True, kw_only=True, tag="flow.vertex_removed"):
    vertex: str


class VerticesReordered(
    Event, frozen=True, kw_only=True, tag="flow.vertices_reordered"
):
    order: tuple[str, ...]


class EdgeConnected(Event, frozen=True, kw_only=True, tag="flow.edge_connected"):
    edge: Json
    index: int


class EdgeConfigured(Event, frozen=True, kw_only=True, tag="flow.edge_configured"):
    edge: str
    path: Path
    before: Json | UnsetType = msgspec.field(name="from", default=ABSENT)
    after: Json | UnsetType = msgspec.field(name="to", default=ABSENT)
    at: int | UnsetType = ABSENT


class EdgeDisconnected(Event, frozen=True, kw_only=True, tag="flow.edge_disconnected"):
    edge: str


class EdgesReordered(Event, frozen=True, kw_only=True, tag="flow.edges_reordered"):
    order: tuple[str, ...]


class DocumentKeyChanged(
    Event, frozen=True, kw_only=True, tag="flow.document_key_changed"
):
    """
    Something beside vertices and edges changed in the document.

    ``key`` is a key of the document, or ``""`` for the document as a whole (it
    became ``None``, ``{}``, or an object that has vertices and edges).
    """

    key: str
    before: Json | UnsetType = msgspec.field(name="from", default=ABSENT)
    after: Json | UnsetType = msgspec.field(name="to", default=ABSENT)


class EndpointNamed(Event, frozen=True, kw_only=True, tag="flow.endpoint_named"):
    endpoint_name: str | None


class AccessChanged(Event, frozen=True, kw_only=True, tag="flow.access_changed"):
    access: Access


class FlowLocked(Event, frozen=True, kw_only=True, tag="flow.locked"):
    pass


class FlowUnlocked(Event, frozen=True, kw_only=True, tag="flow.unlocked"):
    pass


class McpExposureChanged(
    Event, frozen=True, kw_only=True, tag="flow.mcp_exposure_changed"
):
    mcp_enabled: bool | UnsetType = ABSENT
    action_name: str | UnsetType | None = ABSENT
    action_description: str | UnsetType | None = ABSENT


class FlowPublished(Event, frozen=True, kw_only=True, tag="flow.published"):
    """
    A flow can be used on another platform, where it bears ``external_id``.

    ``error`` says what of it did not work there. No key is kept.
    """

    owner: UUID
    platform: str
    platform_url: str
    external_id: str
    model_name: str
    error: str | None = None


class FlowUnpublished(Event, frozen=True, kw_only=True, tag="flow.unpublished"):
    owner: UUID
    platform: str
    platform_url: str
    external_id: str


type SignatureStyle = Literal["standard", "github", "stripe", "slack"]
"""Whose rules the signature of a delivery follows."""


class WebhookSecretChanged(
    Event, frozen=True, kw_only=True, tag="flow.webhook_secret_changed"
):
    """Deliveries may be signed with a secret, of which *secret* is the reference."""

    impersonal: ClassVar[bool] = True

    secret: UUID
    style: SignatureStyle = "standard"


class WebhookSecretRemoved(
    Event, frozen=True, kw_only=True, tag="flow.webhook_secret_removed"
):
    impersonal: ClassVar[bool] = True


class WebhookAccessChanged(
    Event, frozen=True, kw_only=True, tag="flow.webhook_access_changed"
):
    """``open`` lets anybody deliver, who has neither key nor signature."""

    impersonal: ClassVar[bool] = True

    open: bool


class BuildsCleared(Event, frozen=True, kw_only=True, tag="flow.builds_cleared"):
    """Somebody cleared the outputs that earlier runs left on the canvas."""

    impersonal: ClassVar[bool] = True


class FlowDeleted(Event, frozen=True, kw_only=True, tag="flow.deleted"):
    impersonal: ClassVar[bool] = True


type FlowEvent = (
    FlowCreated
    | FlowImported
    | FlowRenamed
    | FlowDescribed
    | FlowMoved
    | VertexAdded
    | VertexConfigured
    | VertexMoved
    | VertexRemoved
    | VerticesReordered
    | EdgeConnected
    | EdgeConfigured
    | EdgeDisconnected
    | EdgesReordered
    | DocumentKeyChanged
    | EndpointNamed
    | AccessChanged
    | FlowLocked
    | FlowUnlocked
    | McpExposureChanged
    | FlowPublished
    | FlowUnpublished
    | WebhookSecretChanged
    | WebhookSecretRemoved
    | WebhookAccessChanged
    | BuildsCleared
    | FlowDeleted
)
