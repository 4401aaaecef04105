"""What people decide about MCP: who calls their tools."""

from typing import NamedTuple

from api.world.means import Ports
from application.mcp_access import McpAccesses
from application.standing import Standings


class Mcp(NamedTuple):
    mcp_accesses: McpAccesses


def join_mcp(ports: Ports, standings: Standings) -> Mcp:
    return Mcp(
        mcp_accesses=McpAccesses(
            ports.store,
            ownership=ports.ownership,
            vault=ports.vault,
            accounts=standings,
        )
    )
