"""Making a project's tools known to clients on the server's own machine."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, get, post
from litestar.params import FromPath, RequestBody

from api.given import Given
from api.problems import Refusal
from api.security import refuse_foreign_pages, sits_here
from application.mcp_install import McpInstallation
from application.ports import Actor, Cause
from application.ports.mcp_clients import Client

AnyRequest = Request[Any, Any, Any]


class Install(msgspec.Struct, frozen=True, kw_only=True):
    """Which client is to know a project's tools."""

    client: Client


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it."""

    message: str


class McpInstallController(Controller):
    """For who sits at the server's own machine, where the operator wants it."""

    path = "/mcp/project/{project_id:str}"
    tags = ("MCP",)

    @post("/install", status_code=200)
    async def install(
        self,
        *,
        request: AnyRequest,
        project_id: FromPath[UUID],
        data: RequestBody[Install],
        actor: Given[Actor],
        mcp_installation: Given[McpInstallation],
        cause: Given[Cause],
    ) -> Installed:
        """Write a project's address into a client's configuration file here."""
        await mcp_installation.installed(actor, project_id)
        refuse_foreign_pages(request)
        if not sits_here(request):
            said = "MCP configuration can only be installed from a local connection"
            raise Refusal(403, said)
        place = f"api/v1/mcp/project/{project_id}/streamable"
        name = await mcp_installation.install(
            actor, project_id, data.client, f"{request.base_url}{place}", cause=cause
        )
        return Installed(message=f"Installed {name} for {data.client}")

    @get("/installed")
    async def installed(
        self,
        *,
        request: AnyRequest,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        mcp_installation: Given[McpInstallation],
    ) -> list[str]:
        """List the clients on this machine that know a project's tools."""
        found = await mcp_installation.installed(actor, project_id)
        return list(found) if sits_here(request) else []
