"""
Connections to MCP servers of others: guarded, bounded, opened when asked for.

The library is imported by who connects: it would take a third of every start.
"""

import asyncio
import os
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, override

import httpx2
import msgspec

from application.ports.mcp import McpConnections, McpServerUnreachableError
from domain.kernel import DomainError
from domain.mcp_server.config import Config, mode_of
from infrastructure.components.guard import Guard

if TYPE_CHECKING:
    from mcp import Client, StdioServerParameters

LARGEST_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of one answer, whatever it holds."""
MOST_TOOLS: Final = 2_000
MOST_PAGES: Final = 50
LONGEST_WORDS: Final = 200

_LISTENS: Final = ("sse",)
_ASKS: Final = ("streamable_http", "streamable-http", "streamablehttp", "http")


class CommandNotAllowedError(DomainError):
    """The operator has not allowed this command for MCP servers."""


class LargeMcpAnswerError(DomainError):
    """The MCP server's answer is too large."""


class Allowed(msgspec.Struct, frozen=True):
    """A command that may be started, word for word, and what may be set for it."""

    words: tuple[str, ...]
    variables: frozenset[str]

    @classmethod
    def of(cls, line: str) -> "Allowed":
        """Read ``TOKEN= npx -y server``: names that users may set, then the command."""
        words = shlex.split(line)
        names = []
        while words and words[0].endswith("="):
            names.append(words.pop(0).removesuffix("="))
        return cls(tuple(words), frozenset(names))


class OthersMcpServers(McpConnections):
    """
    Speaks with servers over HTTP through the guard, and starts allowed commands.

    This is the one place from which MCP servers of others are reached.
    """

    def __init__(
        self, *, allowed_hosts: Sequence[str] = (), commands: Iterable[str] = ()
    ) -> None:
        self._guard = Guard(allowed_hosts)
        self._commands = [Allowed.of(line) for line in commands]

    @override
    async def tools(self, config: Config, *, within: float) -> Sequence[str]:
        try:
            async with asyncio.timeout(within), self.connect(config) as client:
                return await _tools(client)
        except TimeoutError:
            said = f"it did not answer within {within:.0f} seconds"
            raise McpServerUnreachableError(said) from None
        except Exception as error:
            raise McpServerUnreachableError(_why(error)) from error

    @asynccontextmanager
    async def connect(self, config: Config) -> AsyncGenerator["Client"]:
        """
        Lend a client that is connected to the server of *config*.

        Where it does not say how it is spoken to, streamable HTTP is tried before
        server-sent events, or after them where the address ends so.
        """
        if mode_of(config) == "sse":
            # Here, for the library tells nobody why a connection was refused.
            await self._check(str(config["url"]))
        async with AsyncExitStack() as stack:
            yield await self._entered(stack, config)

    async def _check(self, url: str) -> None:
        parsed = httpx2.URL(url)
        await self._guard.checked(parsed.host, parsed.port)

    async def _entered(self, stack: AsyncExitStack, config: Config) -> "Client":
        ways = self._ways(config)
        for way in ways[:-1]:
            try:
                return await stack.enter_async_context(way)
            except Exception as error:
                if not _speaks_otherwise(error):
                    raise
        return await stack.enter_async_context(ways[-1])

    def _ways(self, config: Config) -> list["Client"]:
        from mcp import Client  # noqa: PLC0415
        from mcp.client.sse import sse_client  # noqa: PLC0415

        if mode_of(config) == "stdio":
            return [Client(self._started(config))]
        url = str(config["url"])
        headers = {str(k): str(v) for k, v in (config.get("headers") or {}).items()}
        listening = Client(
            sse_client(url, headers=headers, httpx_client_factory=self._http),
            mode="legacy",
        )
        asking = Client(self._streamable(url, headers))
        said = str(config.get("transport") or config.get("type") or "").lower()
        if said in _LISTENS:
            return [listening]
        if said in _ASKS:
            return [asking]
        if httpx2.URL(url).path.rstrip("/").endswith("/sse"):
            return [listening, asking]
        return [asking, listening]

    @asynccontextmanager
    async def _started(self, config: Config) -> AsyncIterator[Any]:
        from mcp.client.stdio import stdio_client  # noqa: PLC0415

        command = self._command(config)
        with _nowhere() as nowhere:
            async with stdio_client(command, nowhere) as streams:
                yield streams

    def _command(self, config: Config) -> "StdioServerParameters":
        from mcp import StdioServerParameters  # noqa: PLC0415

        words = (str(config["command"]), *map(str, config.get("args") or ()))
        allowed = next((one for one in self._commands if one.words == words), None)
        if allowed is None:
            raise CommandNotAllowedError(
                f"{shlex.join(words)[:LONGEST_WORDS]}. If it is meant to be started, "
                "the operator adds it to LANGBUILDER_MCP_COMMANDS"
            )
        given = {str(k): str(v) for k, v in (config.get("env") or {}).items()}
        if unwelcome := sorted(given.keys() - allowed.variables):
            raise CommandNotAllowedError(f"with {', '.join(unwelcome)[:LONGEST_WORDS]}")
        # Not where the server was started: a file there could be taken for its own.
        root = Path(Path.cwd().anchor)
        return StdioServerParameters(
            command=words[0], args=list(words[1:]), env=given, cwd=root
        )

    @asynccontextmanager
    async def _streamable(
        self, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[Any]:
        from mcp.client.streamable_http import (  # noqa: PLC0415
            streamable_http_client,
        )

        async with (
            self._http(headers=dict(headers)) as http,
            streamable_http_client(url, http_client=http) as streams,
        ):
            yield streams

    def _http(
        self,
        headers: dict[str, str] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            headers=(headers or {}) | {"Accept-Encoding": "identity"},
            timeout=timeout or httpx2.Timeout(30.0),
            auth=auth,
            transport=_GuardedTransport(self._guard),
            trust_env=False,
        )


class _GuardedTransport(httpx2.AsyncBaseTransport):
    """Connects to addresses that the guard checked, and takes bounded answers."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpx2.AsyncHTTPTransport(trust_env=False)

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        address = await self._guard.checked(host, request.url.port)
        # The Host header is already set; only the connection goes to the address.
        request.extensions = {**request.extensions, "sni_hostname": host}
        named, request.url = request.url, request.url.copy_with(host=address)
        try:
            response = await self._inner.handle_async_request(request)
        finally:
            request.url = named  # redirects are judged, and messages told, by name
        assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101
        response.stream = _Bounded(response.stream)
        return response

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    @override
    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = LARGEST_ANSWER
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise LargeMcpAnswerError(f"more than {LARGEST_ANSWER} bytes")
            yield chunk

    @override
    async def aclose(self) -> None:
        await self._stream.aclose()


async def _tools(client: "Client") -> list[str]:
    names: list[str] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        names += [tool.name for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None or len(names) >= MOST_TOOLS:
            break
    return names[:MOST_TOOLS]


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _leaf(error: BaseException) -> BaseException:
    """Return the first error of a group, for a group tells nobody anything."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _speaks_otherwise(error: Exception) -> bool:
    """Tell whether a server may yet answer in the other way of speaking HTTP."""
    return not isinstance(_leaf(error), DomainError | httpx2.ConnectError)


def _why(error: BaseException) -> str:
    from mcp import MCPError  # noqa: PLC0415

    match _leaf(error):
        case DomainError() as refused:
            return refused.sentence
        case httpx2.HTTPStatusError(response=response):
            return f"it answered with status {response.status_code}"
        case httpx2.HTTPError() as broken:
            return f"{type(broken).__name__}: {broken}"[:LONGEST_WORDS]
        case MCPError() as said:
            return str(said)[:LONGEST_WORDS]
        case FileNotFoundError():
            return "its command is not installed here"
        case other:
            return type(other).__name__
