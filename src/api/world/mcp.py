"""What people decide about MCP: who calls their tools, and whose they call."""

from typing import NamedTuple

from api.world.means import Ports
from application.mcp_access import McpAccesses
from application.mcp_servers import McpServers
from application.standing import Standings
from infrastructure.mcp_connections import OthersMcpServers
from infrastructure.settings import Settings


class Mcp(NamedTuple):
    mcp_accesses: McpAccesses
    mcp_servers: McpServers


def join_mcp(settings: Settings, ports: Ports, standings: Standings) -> Mcp:
    return Mcp(
        mcp_accesses=McpAccesses(
            ports.store,
            ownership=ports.ownership,
            vault=ports.vault,
            accounts=standings,
        ),
        mcp_servers=McpServers(
            ports.store,
            claims=ports.claims,
            vault=ports.vault,
            connections=OthersMcpServers(
                allowed_hosts=settings.allowed_hosts, commands=settings.mcp_commands
            ),
        ),
    )
