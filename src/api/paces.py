"""Bodies come at a pace, or nobody waits for the rest of them."""

import asyncio
from time import monotonic
from typing import Final, override

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send

from api.problems import Refusal
from api.security import UPLOAD

BODY_WITHIN: Final = 60.0
SLOWEST_BODY: Final = 64 * 1024
"""Seconds in which a body must be over, or at least so many bytes must have come."""

_TOO_SLOW: Final = "The body came too slowly"
_CLOSE: Final = {"Connection": "close"}


class Paced(ASGIMiddleware):
    """Refuses a body that hardly comes; uploads watch their own."""

    scopes = (ScopeType.HTTP,)

    @override
    async def handle(
        self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp
    ) -> None:
        """Pass the request on, with a body that comes in time."""
        watches_itself = scope["route_handler"].opt.get("rate") == UPLOAD["rate"]
        await next_app(scope, receive if watches_itself else _in_time(receive), send)


def _in_time(receive: Receive) -> Receive:
    over, came = False, 0
    since: float | None = None

    async def receive_in_time() -> HTTPReceiveMessage:
        nonlocal over, since, came
        if over:  # what is still waited for is the client's leaving
            return await receive()  # type: ignore[return-value]  # it is HTTP
        since = monotonic() if since is None else since
        try:
            async with asyncio.timeout(BODY_WITHIN - (monotonic() - since)):
                message = await receive()
        except TimeoutError:
            raise Refusal(408, _TOO_SLOW, _CLOSE) from None
        over = message["type"] != "http.request" or not message["more_body"]
        came += len(message["body"]) if message["type"] == "http.request" else 0
        if came >= SLOWEST_BODY:
            since, came = monotonic(), 0
        return message  # type: ignore[return-value]  # it is HTTP

    return receive_in_time
