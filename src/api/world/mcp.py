"""What people decide about MCP: who calls their tools, and whose they call."""

from typing import NamedTuple

from api.world.means import Means, Ports
from application.failures import Failures
from application.mcp_access import McpAccesses
from application.mcp_servers import McpServers
from application.standing import Standings
from infrastructure.mcp_connections import OthersMcpServers


class Mcp(NamedTuple):
    mcp_accesses: McpAccesses
    mcp_servers: McpServers


def join_mcp(means: Means, ports: Ports, standings: Standings) -> Mcp:
    return Mcp(
        mcp_accesses=McpAccesses(
            ports.store,
            ownership=ports.ownership,
            vault=ports.vault,
            accounts=standings,
            failures=Failures(means.tallies),
        ),
        mcp_servers=McpServers(
            ports.store,
            claims=ports.claims,
            vault=ports.vault,
            connections=OthersMcpServers(
                allowed_hosts=means.settings.allowed_hosts,
                commands=means.settings.mcp_commands,
            ),
        ),
    )
