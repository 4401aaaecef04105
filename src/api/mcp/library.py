"""What MCP's library does for us: its server, its transports, and who asks there."""

import asyncio
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.lowlevel.server import Server
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import Receive, Scope, Send

from api.mcp.server import DESK, mcp_server
from application.permissions import person
from application.resources import Resources
from application.tools import Desk, Tools


class Library:
    """The server that every conversation is held with, over either transport."""

    def __init__(self, tools: Tools, resources: Resources, *, largest: int) -> None:
        self._server: Server[dict[str, Any]] = mcp_server(tools, resources)
        self._largest = largest
        self._streamable = StreamableHTTPSessionManager(
            self._server, stateless=True, max_request_body_size=largest
        )

    async def hold(self, started: asyncio.Future[None], stop: asyncio.Event) -> None:
        """Hold conversations until *stop*; tell *started* when they may begin."""
        async with self._streamable.run():
            started.set_result(None)
            await stop.wait()

    def transport(self, endpoint: str) -> SseServerTransport:
        """Return a transport for streams whose clients post to *endpoint*."""
        return SseServerTransport(endpoint, max_request_body_size=self._largest)

    async def talk(
        self,
        transport: SseServerTransport,
        desk: Desk,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Hold a conversation over a stream, to its end."""
        known = self.known(scope, desk)
        async with transport.connect_sse(known, receive, send) as (heard, said):
            options = self._server.create_initialization_options()
            await self._server.run(heard, said, options)

    async def answer(
        self, desk: Desk, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request over streamable HTTP."""
        known = self.known(scope, desk)
        await self._streamable.handle_request(known, receive, send)

    @staticmethod
    def known(scope: Scope, desk: Desk) -> Scope:
        """Return *scope* with who asks, as the library and our handlers look for it."""
        who = str(person(desk.actor))
        token = AccessToken(token="", client_id=who, scopes=[], subject=who)
        return {**scope, "user": AuthenticatedUser(token), DESK: desk}
