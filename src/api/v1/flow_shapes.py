"""How flows and projects look on the wire."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from application.auth_settings import auth_shown
from application.documents import Documents
from domain.flow import secrets
from domain.flow.flow import Flow
from domain.kernel import Json
from domain.project.project import Project
from projections.flows.views import FlowHeader, FlowRow
from projections.projects.views import ProjectRow


class FlowRead(msgspec.Struct, frozen=True, kw_only=True):
    """A flow in the order of keys that clients know."""

    name: str
    description: str | None
    icon: str | None
    icon_bg_color: str | None
    gradient: str | None
    data: Any
    is_component: bool
    updated_at: str
    webhook: bool
    endpoint_name: str | None
    tags: Sequence[str] | None
    locked: bool
    mcp_enabled: bool
    action_name: str | None
    action_description: str | None
    access_type: str
    id: UUID
    user_id: UUID | None
    folder_id: UUID | None


class FlowHead(msgspec.Struct, frozen=True, kw_only=True):
    """A flow as the boot of the front end lists it."""

    id: UUID
    name: str
    folder_id: UUID | None
    is_component: bool
    endpoint_name: str | None
    description: str | None
    data: Any
    access_type: str
    tags: Sequence[str] | None
    mcp_enabled: bool
    action_name: str | None
    action_description: str | None


class ProjectRead(msgspec.Struct, frozen=True, kw_only=True):
    """A project as clients see it."""

    name: str
    description: str | None
    auth_settings: dict[str, Any] | None = None
    id: UUID
    parent_id: UUID | None


def flow_read(
    facts: Flow | FlowHeader, *, data: Json, updated_at: datetime
) -> FlowRead:
    """Return a flow with its document in the shape that clients read."""
    return FlowRead(
        name=facts.name,
        description=facts.description,
        icon=facts.icon,
        icon_bg_color=facts.icon_bg_color,
        gradient=facts.gradient,
        data=data,
        is_component=facts.is_component,
        updated_at=updated_at.astimezone(UTC).isoformat(timespec="seconds"),
        webhook=facts.webhook,
        endpoint_name=facts.endpoint_name,
        tags=facts.tags,
        locked=facts.locked,
        mcp_enabled=facts.mcp_enabled,
        action_name=facts.action_name,
        action_description=facts.action_description,
        access_type=facts.access,
        id=facts.id,
        user_id=facts.owner,
        folder_id=facts.project,
    )


def flow_head(facts: Flow | FlowHeader, *, data: Json) -> FlowHead:
    """Return a flow's header; only components carry their document there."""
    return FlowHead(
        id=facts.id,
        name=facts.name,
        folder_id=facts.project,
        is_component=facts.is_component,
        endpoint_name=facts.endpoint_name,
        description=facts.description,
        data=data,
        access_type=facts.access,
        tags=facts.tags,
        mcp_enabled=facts.mcp_enabled,
        action_name=facts.action_name,
        action_description=facts.action_description,
    )


async def decided(flows: Sequence[Flow], documents: Documents) -> list[FlowRead]:
    """Return flows as the command left them, whatever the views say by now."""
    data = await documents.show({flow.id: flow.document for flow in flows})
    now = datetime.now(UTC)
    return [flow_read(flow, data=data[flow.id], updated_at=now) for flow in flows]


def seen(document: bytes) -> Json:
    """Return a stored document with placeholders for its secrets."""
    return secrets.show(msgspec.json.decode(document))


async def shown(rows: Sequence[FlowRow], documents: Documents) -> list[FlowRead]:
    """Return flows as the view has them, with canvas and without secrets."""
    data = await documents.show(_stored(rows))
    return [
        flow_read(row, data=data[row.id], updated_at=row.updated_at) for row in rows
    ]


async def exported(
    rows: Sequence[FlowRow], documents: Documents
) -> list[dict[str, Any]]:
    """Return flows as files hold them."""
    data = await documents.export(_stored(rows))
    return [
        msgspec.structs.asdict(
            flow_read(row, data=data[row.id], updated_at=row.updated_at)
        )
        for row in rows
    ]


def _stored(rows: Sequence[FlowRow]) -> dict[UUID, Json]:
    return {row.id: msgspec.json.decode(row.document) for row in rows}


def project_read(project: ProjectRow | Project) -> ProjectRead:
    """Return a project in the shape that clients read."""
    return ProjectRead(
        name=project.name,
        description=project.description,
        auth_settings=auth_shown(project.mcp_access),
        id=project.id,
        parent_id=project.parent,
    )
