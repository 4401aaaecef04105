"""What the server tells of: flows, projects, messages, files and the rest."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, override
from uuid import UUID

import msgspec

type Id = UUID | str
"""An id, as the server gave it or as text."""


class Identified(Protocol):
    """Something that has an id."""

    @property
    def id(self) -> UUID: ...


def id_of(thing: "Identified | Id") -> str:
    """Return the id of *thing*, or the id that it is."""
    return str(thing if isinstance(thing, str | UUID) else thing.id)


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    Something the server told of.

    It cannot be changed, and passes over what it does not know: newer servers
    may tell more. Times are in UTC.
    """

    def __post_init__(self) -> None:
        # Several routes write UTC without saying so.
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is None:
                msgspec.structs.force_setattr(self, name, value.replace(tzinfo=UTC))


class FlowHeader(Model, frozen=True, kw_only=True):
    """A flow without its document: what a list shows."""

    id: UUID
    name: str
    description: str | None = None
    project_id: UUID | None = msgspec.field(default=None, name="folder_id")
    is_component: bool = False
    endpoint_name: str | None = None
    access_type: str = "PRIVATE"
    tags: tuple[str, ...] | None = None
    mcp_enabled: bool | None = None
    action_name: str | None = None
    action_description: str | None = None


class Flow(FlowHeader, frozen=True, kw_only=True):
    """
    A flow.

    ``data`` is its document, ``{"nodes": […], "edges": […]}``; secrets in it are
    shown as asterisks, which in a save mean "as it was". ``version`` is the one you
    may name as ``expected_version`` in an update; flows out of lists have none.
    """

    icon: str | None = None
    icon_bg_color: str | None = None
    gradient: str | None = None
    data: dict[str, Any] | None = None
    updated_at: datetime | None = None
    webhook: bool = False
    locked: bool | None = None
    user_id: UUID | None = None
    version: int | None = None


class Project(Model, frozen=True, kw_only=True):
    """A project: where flows lie."""

    id: UUID
    name: str
    description: str | None = None
    parent_id: UUID | None = None


class Variable(Model, frozen=True, kw_only=True):
    """A global variable; the ``value`` of a credential is never told."""

    id: UUID
    name: str
    type: str = "Generic"
    value: str | None = None
    default_fields: tuple[str, ...] | None = ()


class ApiKey(Model, frozen=True, kw_only=True):
    """An API key; ``masked`` shows how it begins."""

    id: UUID
    name: str | None = None
    masked: str = msgspec.field(default="", name="api_key")
    is_active: bool = True
    total_uses: int = 0
    scopes: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    created_at: datetime | None = None


class NewApiKey(Model, frozen=True, kw_only=True):
    """An API key that was just made. ``key`` is told this once; its repr hides it."""

    id: UUID
    name: str | None = None
    key: str = msgspec.field(name="api_key")

    @override
    def __repr__(self) -> str:
        return f"NewApiKey(id={self.id!r}, name={self.name!r}, key='…')"

    @override
    def __rich_repr__(self) -> Any:
        yield "id", self.id
        yield "name", self.name


class User(Model, frozen=True, kw_only=True):
    """A user."""

    id: UUID
    username: str
    is_active: bool = True
    is_superuser: bool = False
    profile_image: str | None = None
    created_at: datetime | None = msgspec.field(default=None, name="create_at")
    updated_at: datetime | None = None
    last_login_at: datetime | None = None
    optins: Mapping[str, Any] | None = None


class File(Model, frozen=True, kw_only=True):
    """
    A file of yours.

    ``name`` is without its ending; ``path`` is what components take; ``size`` is
    in bytes.
    """

    id: UUID
    name: str
    path: str
    size: int = 0
    provider: str | None = None
    user_id: UUID | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None


class Message(Model, frozen=True, kw_only=True):
    """
    Something said in a session.

    ``sender`` is ``User`` or ``Machine``; ``category`` tells whether it is a message
    or an error; ``sent_at`` is ``timestamp`` as a time.
    """

    id: UUID
    text: str = ""
    sender: str = ""
    sender_name: str = ""
    session_id: str = ""
    flow_id: UUID | None = None
    timestamp: str = ""
    files: tuple[Any, ...] | str = ()
    category: str = "message"
    edit: bool = False
    error: bool = False
    duration: float | None = None
    properties: Mapping[str, Any] = {}
    content_blocks: tuple[Any, ...] = ()

    @override
    def __post_init__(self) -> None:
        # Lists write the files as JSON within JSON.
        if isinstance(self.files, str):
            files = msgspec.json.decode(self.files or "[]", type=tuple[Any, ...])
            msgspec.structs.force_setattr(self, "files", files)

    @property
    def sent_at(self) -> datetime | None:
        """When it was said, if that can be read."""
        try:
            at = datetime.fromisoformat(self.timestamp.removesuffix(" UTC"))
        except ValueError:
            return None
        return at if at.tzinfo else at.replace(tzinfo=UTC)


type RunStatus = Literal[
    "requested", "claimed", "cancelling", "succeeded", "failed", "cancelled"
]


class Run(Model, frozen=True, kw_only=True):
    """A run as it stands; ``reason`` is the slug of why it failed."""

    id: UUID
    flow_id: UUID
    status: str
    flow_name: str = ""
    session_id: str = msgspec.field(default="", name="session")
    trigger: str = ""
    reason: str | None = None
    flow_version: int | None = None
    requested_at: datetime | None = None
    claimed_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def ended(self) -> bool:
        """Whether it has come to its end."""
        return self.ended_at is not None
