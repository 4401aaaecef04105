"""What the application needs of MCP servers that others run."""

from collections.abc import Sequence
from typing import Protocol

from domain.kernel import DomainError
from domain.mcp_server.config import Config


class McpServerUnreachableError(DomainError):
    """The MCP server cannot be reached."""


class McpConnections(Protocol):
    """Talks to MCP servers of others; nothing is started or asked before."""

    async def tools(self, config: Config, *, within: float) -> Sequence[str]:
        """
        Return the names of a server's tools, after *within* seconds at most.

        Raise `McpServerUnreachableError`, which says why, whatever goes wrong.
        """
        ...
