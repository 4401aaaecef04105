"""Conversations in MCP: streams that stay open, and requests that stand alone."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final, cast, override

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.mcp.server import DESK, mcp_server
from api.problems import RETRY_SOON, SERVER_ERROR, Refusal
from application.permissions import person
from application.resources import Resources
from application.tools import Desk, Tools

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
        self._server: Server[dict[str, Any]] = mcp_server(tools, resources)
        self._largest = largest
        self._streamable = StreamableHTTPSessionManager(
            self._server, stateless=True, max_request_body_size=largest
        )
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
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # A task of its own: its group must be left in the task that entered it.
        holding = asyncio.create_task(self._hold(started))
        await asyncio.wait({started, holding}, return_when=asyncio.FIRST_COMPLETED)
        try:
            yield self
        finally:
            self.leave()
            self._stop.set()
            await holding

    def leave(self) -> None:
        """End the streams that are open, and open none; requests are still answered."""
        self._leaving.set()

    async def _hold(self, started: asyncio.Future[None]) -> None:
        async with self._streamable.run():
            started.set_result(None)
            await self._stop.wait()

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
            transport = self._transports.get(endpoint)
            if transport is None:
                transport = self._transports[endpoint] = SseServerTransport(
                    endpoint, max_request_body_size=self._largest
                )
            self._listening[endpoint] += 1
            stream = object()
            self._open[stream] = owner
            try:
                async with transport.connect_sse(
                    _known(scope, desk), self._until_leaving(receive), send
                ) as (heard, said):
                    options = self._server.create_initialization_options()
                    await self._server.run(heard, said, options)
            finally:
                self._forget(stream, endpoint)
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

    def _forget(self, stream: object, endpoint: str) -> None:
        del self._open[stream]
        self._listening[endpoint] -= 1
        if not self._listening[endpoint]:
            del self._listening[endpoint], self._transports[endpoint]

    def tell(self, desk: Desk, endpoint: str) -> Handed:
        """Take a message for a stream that was opened at *endpoint*."""
        transport = self._transports.get(endpoint)
        if transport is None:
            # Where none is open here, an id can only be wrong or missing.
            transport = SseServerTransport(endpoint)
        handle = transport.handle_post_message

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await handle(_known(scope, desk), receive, _in_our_words(send))

        return Handed(app)

    def ask(self, desk: Desk) -> Handed:
        """Answer a request over streamable HTTP."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            if self._stop.is_set():
                raise Refusal(503, "The server is being stopped", RETRY_SOON)
            await self._streamable.handle_request(_known(scope, desk), receive, send)

        return Handed(app)


def _known(scope: Scope, desk: Desk) -> Scope:
    """Return *scope* with who asks, as the library and our handlers look for it."""
    who = str(person(desk.actor))
    token = AccessToken(token="", client_id=who, scopes=[], subject=who)
    return {**scope, "user": AuthenticatedUser(token), DESK: desk}


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
