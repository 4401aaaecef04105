"""What the application needs of MCP clients that are installed beside the server."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from domain.kernel import DomainError, Json

type Client = Literal["cursor", "windsurf", "claude"]


class UnreadableClientFileError(DomainError):
    """The client's configuration is no JSON object, and is left as it is."""


class McpClients(Protocol):
    """The configuration files of clients, in the home of who runs the server."""

    async def install(
        self, client: Client, name: str, entry: Mapping[str, Json]
    ) -> None:
        """
        Write *entry* under *name* into a client's file, and leave the rest of it.

        Raise `UnreadableClientFileError`.
        """
        ...

    async def installed(self, name: str) -> Sequence[Client]:
        """Return the clients that have an entry under *name*."""
        ...
