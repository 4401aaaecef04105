"""What a flow came to at a version, so that a long history need not be replayed."""

from typing import Final
from uuid import UUID

import msgspec

from domain.flow.events import Access, SignatureStyle
from domain.flow.flow import Flow
from domain.kernel import Json

SCHEMA: Final = 4
"""To be raised whenever a field changes, or what an event does to a flow does."""


class FlowSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """All that a flow knows of itself beside its id and version."""

    owner: UUID
    project: UUID
    name: str
    access: Access
    document: Json
    description: str | None
    icon: str | None
    icon_bg_color: str | None
    gradient: str | None
    tags: tuple[str, ...] | None
    endpoint_name: str | None
    is_component: bool
    webhook: bool
    locked: bool
    mcp_enabled: bool
    action_name: str | None
    action_description: str | None
    webhook_secret: UUID | None
    webhook_open: bool
    webhook_style: SignatureStyle
    publications: dict[str, str]
    deleted: bool


def taken(flow: Flow) -> FlowSnapshot:
    """Return what *flow* is."""
    fields = FlowSnapshot.__struct_fields__
    return FlowSnapshot(**{field: getattr(flow, field) for field in fields})


def restored(flow: Flow, snapshot: FlowSnapshot) -> None:
    """Let a new *flow* be what the snapshot says."""
    for field in FlowSnapshot.__struct_fields__:
        setattr(flow, field, getattr(snapshot, field))
