"""What people decide about MCP: who calls their tools, and whose they call."""

from pathlib import Path
from typing import NamedTuple

from api.world.means import Means, Ports
from api.world.people import People
from application.failures import Failures
from application.mcp_access import McpAccesses
from application.mcp_install import McpInstallation
from application.mcp_servers import McpServers
from infrastructure.mcp_clients import LocalMcpClients
from infrastructure.mcp_connections import OthersMcpServers


class Mcp(NamedTuple):
    mcp_accesses: McpAccesses
    mcp_servers: McpServers
    mcp_installation: McpInstallation


def join_mcp(means: Means, ports: Ports, people: People) -> Mcp:
    settings = means.settings
    return Mcp(
        mcp_accesses=McpAccesses(
            ports.store,
            ownership=ports.ownership,
            vault=ports.vault,
            accounts=people.standings,
            failures=Failures(means.tallies),
        ),
        mcp_servers=McpServers(
            ports.store,
            claims=ports.claims,
            vault=ports.vault,
            connections=OthersMcpServers(
                allowed_hosts=settings.allowed_hosts, commands=settings.mcp_commands
            ),
        ),
        mcp_installation=McpInstallation(
            ports.store,
            ownership=ports.ownership,
            api_keys=people.api_keys,
            clients=LocalMcpClients(Path.home()) if settings.mcp_install else None,
        ),
    )
