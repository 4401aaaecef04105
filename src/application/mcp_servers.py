"""MCP servers of others that people's flows may call: set up, changed, looked at."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol
from uuid import UUID, uuid4

import msgspec

from application.commands import Done, Turns, deciding_again
from application.permissions import person
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    EventStore,
    Owned,
    Saved,
    Sealed,
    Vault,
)
from application.ports.mcp import McpConnections, McpServerUnreachableError
from application.repeats import once
from domain.kernel import DomainError
from domain.mcp_server.config import Config, Mode, check, kept, mode_of, shown
from domain.mcp_server.mcp_server import McpServer

KIND: Final = "mcp-server"
MOST: Final = 100
"""Servers that one person may set up."""
LARGEST: Final = 64 * 1024
"""Bytes of JSON that say how one is reached."""
AT_ONCE: Final = 16
WITHIN: Final = 10.0
"""Seconds that one server has to tell its tools."""
ALL_WITHIN: Final = 30.0
"""Seconds after which servers that were not asked yet are not asked."""


class McpServerNameTakenError(DomainError):
    """Server already exists."""


class McpServerNotFoundError(DomainError):
    """Server not found."""


class TooManyMcpServersError(DomainError):
    """You have set up as many MCP servers as one person may."""


class McpServerTooLargeError(DomainError):
    """What says how an MCP server is reached is too long."""


class ConfiguredServer(Protocol):
    """A server as the view has it; ``secret`` names how it is reached."""

    @property
    def name(self) -> str: ...
    @property
    def secret(self) -> UUID: ...


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a server tells of itself, or why it does not."""

    name: str
    mode: Mode | None
    tools: int | None = None
    error: str | None = None


class McpServers:
    """Load a server, let it decide, store what it decided; ask those there are."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        vault: Vault,
        connections: McpConnections,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._store = store
        self._claims = claims
        self._vault = vault
        self._connections = connections
        self._new_id = new_id
        self._turns: Turns[UUID] = Turns()

    async def find(self, actor: Actor, name: str) -> Config | None:
        """Return how *actor*'s server is reached, without secrets, if there is one."""
        server = await self._named(person(actor), name)
        return None if server is None else shown(await self._config(server))

    async def add(
        self, actor: Actor, name: str, config: Config, *, cause: Cause
    ) -> Done[Config]:
        """Set a server up under a name that is free."""
        owner = person(actor)

        async def again(before: Saved) -> Done[Config]:
            return Done(shown(config), before.position)

        async def first() -> Done[Config]:
            if await self._named(owner, name) is not None:
                raise McpServerNameTakenError
            return await self._begin(owner, name, config, cause=cause)

        async with self._turns.of(owner):
            return await once(self._store, cause, again=again, attempt=first)

    async def put(
        self, actor: Actor, name: str, config: Config, *, cause: Cause
    ) -> Done[Config]:
        """Set a server up, or reach the one of that name in another way."""
        owner = person(actor)

        async def attempt() -> Done[Config]:
            server = await self._named(owner, name)
            if server is None:
                return await self._begin(owner, name, config, cause=cause)
            before = server.secret
            wanted = kept(config, await self._config(server))
            sealed = await self._sealed(owner, wanted)
            server.reconfigure(sealed.id)
            saved = await self._store.save(
                server,
                cause=cause,
                attached=Attached(secrets=(sealed,), destroyed=(before,)),
            )
            return Done(shown(wanted), saved.position)

        async with self._turns.of(owner):
            return await deciding_again(attempt)

    async def remove(self, actor: Actor, name: str, *, cause: Cause) -> Done[None]:
        """Forget a server, and how it was reached."""
        owner = person(actor)

        async def again(before: Saved) -> Done[None]:
            return Done(None, before.position)

        async def attempt() -> Done[None]:
            server = await self._named(owner, name)
            if server is None:
                raise McpServerNotFoundError
            server.remove()
            saved = await self._store.save(
                server,
                cause=cause,
                attached=Attached(
                    released=(_claim(server),),
                    disowned=(server.id,),
                    destroyed=(server.secret,),
                ),
            )
            return Done(None, saved.position)

        async def first() -> Done[None]:
            return await deciding_again(attempt)

        return await once(self._store, cause, again=again, attempt=first)

    async def look(self, servers: Sequence[ConfiguredServer]) -> list[Looked]:
        """Ask each of *servers* for its tools, many at once and none for long."""
        opened = await self._vault.open([one.secret for one in servers])
        room = asyncio.Semaphore(AT_ONCE)
        deadline = asyncio.get_running_loop().time() + ALL_WITHIN

        async def look(server: ConfiguredServer) -> Looked:
            text = opened.get(server.secret)
            if text is None:  # it was changed a moment ago
                return Looked(name=server.name, mode=None, error="It has just changed.")
            config: Config = msgspec.json.decode(text)
            async with room:
                left = deadline - asyncio.get_running_loop().time()
                return await self._look(server.name, config, min(left, WITHIN))

        return await asyncio.gather(*map(look, servers))

    async def _look(self, name: str, config: Config, within: float) -> Looked:
        mode = mode_of(config)
        if within <= 0:
            return Looked(name=name, mode=mode, error="There was no time to ask it.")
        try:
            tools = await self._connections.tools(config, within=within)
        except McpServerUnreachableError as error:
            return Looked(name=name, mode=mode, error=error.sentence)
        return Looked(name=name, mode=mode, tools=len(tools))

    async def _begin(
        self, owner: UUID, name: str, config: Config, *, cause: Cause
    ) -> Done[Config]:
        if len(await self._claims.taken(KIND, f"{owner}/")) >= MOST:
            raise TooManyMcpServersError(MOST)
        wanted = kept(config, {})
        sealed = await self._sealed(owner, wanted)
        server = McpServer.configure(
            self._new_id(), owner=owner, name=name, secret=sealed.id
        )
        attached = Attached(
            claims=(_claim(server),),
            owned=(Owned(server.id, "mcp_server", owner),),
            secrets=(sealed,),
        )
        try:
            saved = await self._store.save(server, cause=cause, attached=attached)
        except ClaimTakenError as taken:
            raise McpServerNameTakenError from taken
        return Done(shown(wanted), saved.position)

    async def _named(self, owner: UUID, name: str) -> McpServer | None:
        found = await self._claims.holder(KIND, f"{owner}/{name}")
        return None if found is None else await self._store.load(McpServer, found)

    async def _config(self, server: McpServer) -> Config:
        opened = await self._vault.open([server.secret])
        config: Config = msgspec.json.decode(opened[server.secret])
        return config

    async def _sealed(self, owner: UUID, config: Config) -> Sealed:
        check(config)
        text = msgspec.json.encode(config)
        if len(text) > LARGEST:
            raise McpServerTooLargeError(f"{len(text)} bytes, of {LARGEST} at most")
        return await self._vault.seal(owner, KIND, text.decode())


def _claim(server: McpServer) -> Claim:
    return Claim(KIND, f"{server.owner}/{server.name}", server.id)
