"""MCP servers of others, as the front end sets them up."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.params import FromPath, FromQuery, RequestBody
from msgspec import Meta

from api.given import Given
from api.lists import Part
from api.requests import Answers
from application.mcp_servers import McpServers
from application.names import Name
from application.permissions import person
from application.ports import Actor, Cause
from projections.mcp_servers.views import McpServerViews

type Config = Annotated[
    dict[str, Any], Meta(examples=[{"url": "https://mcp.example.org/mcp"}])
]


class McpServerRead(msgspec.Struct, frozen=True, kw_only=True):
    """
    A server in the list.

    Only where the count was asked for is there a ``mode``, and either ``toolsCount``
    or the ``error`` that says why there is none.
    """

    name: str
    mode: str | None = None
    tools_count: int | None = msgspec.field(name="toolsCount", default=None)
    error: str | msgspec.UnsetType = msgspec.UNSET


class Named(msgspec.Struct, frozen=True):
    """What a body says when the address does not name the server."""

    name: Name


class McpServerController(Controller):
    """Commands go to `McpServers`; nothing is started or asked but for the count."""

    path = "/mcp/servers"
    tags = ("MCP",)

    @get("/")
    async def many(
        self,
        *,
        actor: Given[Actor],
        mcp_servers: Given[McpServers],
        mcp_server_views: Given[McpServerViews],
        part: Given[Part],
        action_count: FromQuery[bool | None] = None,
    ) -> list[McpServerRead]:
        """List one's servers; with `action_count=true` ask each for its tools."""
        owner = person(actor)
        found = await mcp_server_views.of(owner, limit=part.limit, offset=part.offset)
        rows = part.told(found)
        if not action_count:
            return [McpServerRead(name=row.name) for row in rows]
        return [
            McpServerRead(
                name=one.name,
                mode=one.mode,
                tools_count=one.tools,
                error=one.error or msgspec.UNSET,
            )
            for one in await mcp_servers.look(rows)
        ]

    @get("/{server_name:str}")
    async def one(
        self,
        *,
        server_name: FromPath[Name],
        actor: Given[Actor],
        mcp_servers: Given[McpServers],
    ) -> dict[str, Any] | None:
        """Show how a server is reached, without secrets; `null` if there is none."""
        return await mcp_servers.find(actor, server_name)

    @post("/", status_code=200)
    async def add_named(
        self,
        *,
        data: RequestBody[Config],
        actor: Given[Actor],
        mcp_servers: Given[McpServers],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, Any]:
        """Set a server up under the `name` that the body says."""
        named = msgspec.convert(data, Named)
        config = {key: value for key, value in data.items() if key != "name"}
        done = await mcp_servers.add(actor, named.name, config, cause=cause)
        await answers.settle(done.position)
        return done.result

    @post("/{server_name:str}", status_code=200)
    async def add(
        self,
        *,
        server_name: FromPath[Name],
        data: RequestBody[Config],
        actor: Given[Actor],
        mcp_servers: Given[McpServers],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, Any]:
        """Set a server up under a name that is free."""
        done = await mcp_servers.add(actor, server_name, data, cause=cause)
        await answers.settle(done.position)
        return done.result

    @patch("/{server_name:str}")
    async def put(
        self,
        *,
        server_name: FromPath[Name],
        data: RequestBody[Config],
        actor: Given[Actor],
        mcp_servers: Given[McpServers],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, Any]:
        """Set a server up, or reach it in another way; `********` stays as it is."""
        done = await mcp_servers.put(actor, server_name, data, cause=cause)
        await answers.settle(done.position)
        return done.result

    @delete("/{server_name:str}", status_code=200)
    async def remove(
        self,
        *,
        server_name: FromPath[Name],
        actor: Given[Actor],
        mcp_servers: Given[McpServers],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> None:
        """Forget a server and its secrets."""
        done = await mcp_servers.remove(actor, server_name, cause=cause)
        await answers.settle(done.position)
