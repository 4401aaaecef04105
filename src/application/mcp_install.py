"""A project's tools, made known to the MCP clients on the server's own machine."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from application.api_keys import ApiKeys, NewKey
from application.commands import part_of
from application.permissions import Permissions
from application.ports import Actor, Cause, EventStore, Ownership
from application.ports.mcp_clients import (
    Client,
    McpClients,
    UnreadableClientFileError,
)
from domain.kernel import DomainError
from domain.project.project import Project
from domain.run.tools import tool_name

PREFIX: Final = "lf-"


class NoInstallingError(DomainError):
    """This server writes into no configuration files."""


class McpInstallation:
    """
    Writes a project's address into a client's file, with a key made for it.

    Only where the operator wants it, and for who sits at the server's machine.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        ownership: Ownership,
        api_keys: ApiKeys,
        clients: McpClients | None,
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._api_keys = api_keys
        self._clients = clients

    async def install(
        self, actor: Actor, project_id: UUID, client: Client, url: str, *, cause: Cause
    ) -> str:
        """Make the tools at *url* known to *client*; return under which name."""
        name = await self._name(actor, project_id)
        if self._clients is None:
            raise NoInstallingError("the operator may set LANGBUILDER_MCP_INSTALL")
        new = NewKey(name=f"MCP in {client}", scopes=["run"])
        issued = await self._api_keys.issue(actor, new, cause=cause)
        key = ["--headers", "x-api-key", issued.result.key]
        arguments = ["mcp-proxy", "--transport", "streamablehttp", *key, url]
        entry = {"command": "uvx", "args": arguments}
        try:
            await self._clients.install(client, name, entry)
        except UnreadableClientFileError:
            step = part_of(cause, "revoke")
            await self._api_keys.revoke(actor, issued.result.id, cause=step)
            raise
        return name

    async def installed(self, actor: Actor, project_id: UUID) -> Sequence[Client]:
        """Return the clients that know a project's tools."""
        name = await self._name(actor, project_id)
        return [] if self._clients is None else await self._clients.installed(name)

    async def _name(self, actor: Actor, project_id: UUID) -> str:
        await self._permissions.require(actor, "project", project_id)
        project = await self._store.load(Project, project_id)
        return PREFIX + tool_name(project.name)
