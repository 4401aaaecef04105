"""
Conversations in MCP: streams that stay open, and requests that stand alone.

The library is imported when somebody speaks MCP: it would take a fifth of every start.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, cast, override

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import RETRY_SOON, SERVER_ERROR, Refusal
from application.permissions import person
from application.resources import Resources
from application.tools import Desk, Tools

if TYPE_CHECKING:
    from mcp.server.sse import SseServerTransport

    from api.mcp.library import Library

log = logging.getLogger(__name__)

MOST: Final = 1_000
"""Streams that stay open at once, of everybody."""
MOST_OF_ONE: Final = 50
"""Streams that one person may hold open at once."""
REFUSED: Final = 400


class Handed(Response[bytes]):
    """An answer that another ASGI application gives."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(b"")
        self._app = app

    @override
    def to_asgi_response(self, *args: Any, **kwargs: Any) -> ASGIResponse:
        """Return that application, which Litestar calls like an answer of its own."""
        return cast("ASGIResponse", self._app)


class Talks:
    """
    Every conversation of this process.

    A stream belongs to whoever opened it, lives in this process, and ends when its
    reader goes or the server stops. A request over streamable HTTP needs no memory
    of any other, so any server answers it.
    """

    def __init__(self, tools: Tools, resources: Resources, *, largest: int) -> None:
        self._tools = tools
        self._resources = resources
        self._largest = largest
        self._loading: asyncio.Task[Library] | None = None
        self._holding: asyncio.Task[None] | None = None
        self._transports: dict[str, SseServerTransport] = {}
        self._listening: Counter[str] = Counter()
        self._open: dict[object, str] = {}
        self._leaving = asyncio.Event()
        self._stop = asyncio.Event()

    @property
    def going_on(self) -> int:
        """How many streams are open."""
        return len(self._open)

    @asynccontextmanager
    async def held(self) -> AsyncGenerator["Talks"]:
        """Hold conversations until the end of the block."""
        try:
            yield self
        finally:
            self.leave()
            self._stop.set()
            if self._holding is not None:
                await self._holding

    def leave(self) -> None:
        """End the streams that are open, and open none; requests are still answered."""
        self._leaving.set()

    async def _loaded(self) -> "Library":
        """Return the library; the first who needs it has it imported."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
        return await asyncio.shield(self._loading)

    async def _load(self) -> "Library":
        # In a thread: who speaks of something else need not wait.
        found = await asyncio.to_thread(import_module, "api.mcp.library")
        library: Library = found.Library(
            self._tools, self._resources, largest=self._largest
        )
        await self._held_by_a_task(library)
        return library

    async def _held_by_a_task(self, library: "Library") -> None:
        # Of its own: its group must be left in the task that entered it.
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._holding = asyncio.create_task(library.hold(started, self._stop))
        await asyncio.wait(
            {started, self._holding}, return_when=asyncio.FIRST_COMPLETED
        )

    def listen(self, desk: Desk, endpoint: str) -> Handed:
        """Open a stream, whose client is told to post to *endpoint*."""
        owner = str(person(desk.actor))
        of_one = sum(1 for one in self._open.values() if one == owner)
        if self._leaving.is_set() or len(self._open) >= MOST:
            raise Refusal(503, "There are too many MCP streams", RETRY_SOON)
        if of_one >= MOST_OF_ONE:
            said = f"You have {MOST_OF_ONE} MCP streams open; close one of them"
            raise Refusal(429, said, RETRY_SOON)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            stream = object()
            self._open[stream] = owner
            try:
                hearing = self._until_leaving(receive)
                await self._listen(desk, endpoint, scope, hearing, send)
            finally:
                del self._open[stream]
            if self._leaving.is_set():
                await send({"type": "http.response.body", "body": b""})

        return Handed(app)

    def _until_leaving(self, receive: Receive) -> Receive:
        """Return how messages are received: once we leave, as if they had hung up."""

        async def receive_or_leave() -> Message:
            coming = asyncio.ensure_future(receive())
            leaving = asyncio.ensure_future(self._leaving.wait())
            try:
                await asyncio.wait(
                    {coming, leaving}, return_when=asyncio.FIRST_COMPLETED
                )
                if coming.done():
                    return coming.result()
            finally:
                coming.cancel()
                leaving.cancel()
            return {"type": "http.disconnect"}

        return receive_or_leave

    async def _listen(
        self, desk: Desk, endpoint: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        library = await self._loaded()
        transport = self._transports.get(endpoint)
        if transport is None:
            transport = self._transports[endpoint] = library.transport(endpoint)
        self._listening[endpoint] += 1
        try:
            await library.talk(transport, desk, scope, receive, send)
        finally:
            self._listening[endpoint] -= 1
            if not self._listening[endpoint]:
                del self._listening[endpoint], self._transports[endpoint]

    def tell(self, desk: Desk, endpoint: str) -> Handed:
        """Take a message for a stream that was opened at *endpoint*."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            library = await self._loaded()
            # Where none is open here, an id can only be wrong or missing.
            transport = self._transports.get(endpoint) or library.transport(endpoint)
            known = library.known(scope, desk)
            await transport.handle_post_message(known, receive, _in_our_words(send))

        return Handed(app)

    def ask(self, desk: Desk) -> Handed:
        """Answer a request over streamable HTTP."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if self._stop.is_set():
                raise Refusal(503, "The server is being stopped", RETRY_SOON)
            library = await self._loaded()
            await library.answer(desk, scope, receive, send)

        return Handed(app)


def _in_our_words(send: Send) -> Send:
    """Return *send* for answers whose refusals are to be JSON like all of ours."""
    refused: dict[str, Any] | None = None

    async def said(message: Message) -> None:
        nonlocal refused
        if message["type"] == "http.response.start" and message["status"] >= REFUSED:
            refused = dict(message)
            return
        if refused is None or message["type"] != "http.response.body":
            await send(message)
            return
        words = message["body"].decode(errors="replace")
        if refused["status"] >= SERVER_ERROR:
            log.error("MCP: %s", words)
        body = msgspec.json.encode({"detail": words})
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send(refused | {"headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    return said
