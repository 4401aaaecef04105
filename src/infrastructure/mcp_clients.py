"""Configuration files of MCP clients, in the home of who runs the server."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, get_args, override
from uuid import uuid4

import msgspec

from application.ports.mcp_clients import (
    Client,
    McpClients,
    UnreadableClientFileError,
)
from domain.kernel import Json

CLIENTS: Final[tuple[Client, ...]] = get_args(Client.__value__)
LARGEST: Final = 4 * 1024 * 1024
_SERVERS: Final = "mcpServers"


class LocalMcpClients(McpClients):
    """Reads and writes files below *home*; each is replaced whole or not at all."""

    def __init__(self, home: Path, *, platform: str = sys.platform) -> None:
        self._home = home
        self._platform = platform

    def path(self, client: Client) -> Path:
        """Return where *client* keeps its configuration."""
        match client:
            case "cursor":
                return self._home / ".cursor" / "mcp.json"
            case "windsurf":
                return self._home / ".codeium" / "windsurf" / "mcp_config.json"
            case "claude":
                folder = {
                    "darwin": Path("Library", "Application Support"),
                    "win32": Path("AppData", "Roaming"),
                }.get(self._platform, Path(".config"))
                return self._home / folder / "Claude" / "claude_desktop_config.json"

    @override
    async def install(
        self, client: Client, name: str, entry: Mapping[str, Json]
    ) -> None:
        await asyncio.to_thread(self._write, client, name, dict(entry))

    @override
    async def installed(self, name: str) -> Sequence[Client]:
        return await asyncio.to_thread(self._having, name)

    def _having(self, name: str) -> list[Client]:
        found: list[Client] = []
        for client in CLIENTS:
            try:
                servers = self._read(client).get(_SERVERS)
            except UnreadableClientFileError:
                continue
            if isinstance(servers, dict) and name in servers:
                found.append(client)
        return found

    def _write(self, client: Client, name: str, entry: dict[str, Json]) -> None:
        path, whole = self.path(client), self._read(client)
        servers = whole.setdefault(_SERVERS, {})
        if not isinstance(servers, dict):
            raise UnreadableClientFileError(f"{_SERVERS} is no object")
        servers[name] = entry
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{uuid4().hex}")
        # Only who runs the server reads it, for there is a key in it.
        place = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(place, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")
        beside.replace(path)

    def _read(self, client: Client) -> dict[str, Any]:
        path = self.path(client)
        try:
            if path.stat().st_size > LARGEST:
                raise UnreadableClientFileError(client)
            text = path.read_bytes()
        except FileNotFoundError:
            return {}
        try:
            whole = msgspec.json.decode(text) if text.strip() else {}
        except msgspec.DecodeError as broken:
            raise UnreadableClientFileError(client) from broken
        if not isinstance(whole, dict):
            raise UnreadableClientFileError(client)
        return whole
