"""Projects which MCP servers people set up onto ``mcp_servers``."""

from collections.abc import Sequence
from typing import override

from application.ports import Recorded
from domain.mcp_server.events import McpServerConfigured, McpServerRemoved
from domain.user.events import UserErased
from projections.mcp_servers.tables import MCP_SERVERS, METADATA
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows


class McpServersProjector(Projector):
    """Which MCP servers there are, and where in the vault it says how to reach them."""

    name = "mcp_servers"
    version = 1
    tables = METADATA
    reads = (McpServerConfigured, McpServerRemoved, UserErased)

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case McpServerConfigured() as event:
                    rows.put(
                        MCP_SERVERS,
                        id=recorded.stream,
                        owner=event.owner,
                        name=event.name,
                        secret=event.secret,
                    )
                case McpServerRemoved():
                    rows.remove(MCP_SERVERS, recorded.stream)
                case UserErased():
                    rows.remove_where(MCP_SERVERS, owner=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)
