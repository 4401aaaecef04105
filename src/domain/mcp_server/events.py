"""What can have happened to an MCP server that somebody set up."""

from uuid import UUID

from domain.kernel import Event


class McpServerConfigured(
    Event, frozen=True, kw_only=True, tag="mcp_server.configured"
):
    """
    Somebody said how a server is reached.

    All of that lies in the vault under ``secret``: keys hide in addresses and
    arguments as well as in headers and environments.
    """

    owner: UUID
    name: str
    secret: UUID


class McpServerRemoved(Event, frozen=True, kw_only=True, tag="mcp_server.removed"):
    pass


type McpServerEvent = McpServerConfigured | McpServerRemoved
