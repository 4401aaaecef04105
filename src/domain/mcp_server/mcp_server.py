"""The MCP server aggregate: a name, and how what bears it is reached."""

from typing import Self, assert_never, override
from uuid import UUID

from domain.kernel import Aggregate, DomainError
from domain.mcp_server.events import (
    McpServerConfigured,
    McpServerEvent,
    McpServerRemoved,
)


class McpServerRemovedError(DomainError):
    """This MCP server has been removed."""


class NamelessMcpServerError(DomainError):
    """An MCP server has a name."""


class McpServer(Aggregate[McpServerEvent]):
    """A server of somebody else's that its owner's flows may call."""

    owner: UUID
    secret: UUID

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.name = ""
        self.removed = False

    @property
    @override
    def subject(self) -> UUID:
        return self.owner

    @classmethod
    def configure(
        cls, server_id: UUID, *, owner: UUID, name: str, secret: UUID
    ) -> Self:
        """Set a server up, under a name that the caller has claimed."""
        if not name:
            raise NamelessMcpServerError
        server = cls(server_id)
        server._record(McpServerConfigured(owner=owner, name=name, secret=secret))
        return server

    def reconfigure(self, secret: UUID) -> None:
        """Reach it in another way; the caller destroys what said how before."""
        self._require_present()
        self._record(
            McpServerConfigured(owner=self.owner, name=self.name, secret=secret)
        )

    def remove(self) -> None:
        """Forget it; the caller destroys what said how it is reached."""
        self._require_present()
        self._record(McpServerRemoved())

    def _require_present(self) -> None:
        if self.removed:
            raise McpServerRemovedError(self.id)

    @override
    def _apply(self, event: McpServerEvent) -> None:
        match event:
            case McpServerConfigured():
                self.owner, self.name = event.owner, event.name
                self.secret = event.secret
            case McpServerRemoved():
                self.removed = True
            case _:
                assert_never(event)
