"""What can be asked about the MCP servers that people set up."""

from uuid import UUID

import msgspec
from sqlalchemy import select

from projections.mcp_servers.tables import MCP_SERVERS
from projections.reading import Found, Views


class McpServerRow(msgspec.Struct, frozen=True):
    """An MCP server; ``secret`` names in the vault how it is reached."""

    id: UUID
    owner: UUID
    name: str
    secret: UUID


class McpServerViews(Views):
    """Questions about MCP servers."""

    async def of(
        self, owner: UUID, *, limit: int | None = None, offset: int = 0
    ) -> Found[McpServerRow]:
        """Return the servers of an owner, by name."""
        mine = select(MCP_SERVERS).where(MCP_SERVERS.c.owner == owner)
        ordered = mine.order_by(MCP_SERVERS.c.name)
        rows, total = await self._page(ordered, limit=limit, offset=offset)
        return Found((McpServerRow(*row) for row in rows), total)
