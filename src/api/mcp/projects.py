"""Which flows of a project are tools, and how callers of them prove who they are."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, get, patch
from litestar.params import FromPath, FromQuery, RequestBody

from api.given import Given
from api.lists import Part
from api.requests import Answers
from application.auth_settings import auth_shown
from application.mcp_access import McpAccesses, McpChange
from application.ports import Actor, Cause
from domain.run.tools import tool_description, tool_name
from projections.flows.views import FlowHeader, FlowViews


class ToolRead(msgspec.Struct, frozen=True, kw_only=True):
    """A flow and how it shows as a tool."""

    id: UUID
    mcp_enabled: bool
    action_name: str
    action_description: str
    name: str
    description: str | None


class McpProjectRead(msgspec.Struct, frozen=True, kw_only=True):
    """A project's tools; ``auth_settings`` has 16 keys and no secret."""

    tools: list[ToolRead]
    auth_settings: dict[str, Any] | None


class McpSettingsController(Controller):
    """What owners decide about the tools of their projects."""

    path = "/mcp/project/{project_id:str}"
    tags = ("MCP",)

    @get("/")
    async def show(
        self,
        *,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        mcp_accesses: Given[McpAccesses],
        flow_views: Given[FlowViews],
        part: Given[Part],
        mcp_enabled: FromQuery[bool] = True,
    ) -> McpProjectRead:
        """Show a project's flows that are tools, or all with `mcp_enabled=false`."""
        access = await mcp_accesses.of(actor, project_id)
        owner = actor.user
        assert owner is not None  # noqa: S101 - who asks over HTTP is somebody
        flows = await flow_views.headers(
            owner,
            components_only=False,
            project=project_id,
            exposed=mcp_enabled,
            bare=True,
            limit=part.limit,
            offset=part.offset,
        )
        tools = list(map(_tool, part.told(flows)))
        return McpProjectRead(tools=tools, auth_settings=auth_shown(access))

    @patch("/")
    async def change(
        self,
        *,
        project_id: FromPath[UUID],
        data: RequestBody[McpChange],
        actor: Given[Actor],
        mcp_accesses: Given[McpAccesses],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, str]:
        """Say which flows of a project are tools, and who may call them."""
        done = await mcp_accesses.configure(actor, project_id, data, cause=cause)
        await answers.settle(done.position)
        said = f"Updated MCP settings for {done.result} flows"
        return {"message": f"{said} and project auth settings"}


class SeedMcpSettingsController(McpSettingsController):
    """The same under the name that the seed documents use."""

    path = "/mcp/projects/{project_id:str}"
    tags = ("MCP",)


def _tool(flow: FlowHeader) -> ToolRead:
    name = tool_name(flow.name)
    return ToolRead(
        id=flow.id,
        mcp_enabled=flow.mcp_enabled,
        action_name=tool_name(flow.action_name) if flow.action_name else name,
        action_description=tool_description(
            name, action=flow.action_description, flow=flow.description
        ),
        name=flow.name,
        description=flow.description,
    )
