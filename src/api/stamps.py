"""What every answer says besides what was asked: its id, and how to be shown."""

import logging
import re
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final, override
from uuid import RFC_4122, UUID, uuid4

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import SECURITY

REQUEST_ID: Final = "x-request-id"
_SANE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_LEFT: Final = "answer_headers"
_ID: Final = "request_id"

_current: ContextVar[str] = ContextVar("request_id", default="-")


async def stamp(message: Message, scope: Scope) -> None:
    """Put on an answer what its request left for it, and what protects pages."""
    if message["type"] != "http.response.start":
        return
    headers = MutableScopeHeaders.from_message(message)
    headers[REQUEST_ID] = request_id(scope)
    for name, value in SECURITY.items():
        headers.setdefault(name, value)
    left: Mapping[str, str] = scope.get("state", {}).get(_LEFT, {})
    for name, value in left.items():
        headers[name] = value


class Naming(ASGIMiddleware):
    """Gives a request its id before anything is done, so that the log can tell it."""

    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET)

    @override
    async def handle(
        self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp
    ) -> None:
        """Name the request, and pass it on."""
        request_id(scope)
        await next_app(scope, receive, send)


def leave(scope: Scope, headers: Mapping[str, str]) -> None:
    """Leave *headers* for the answer."""
    scope["state"].setdefault(_LEFT, {}).update(headers)


def request_id(scope: Scope) -> str:
    """Return what the client called its request if that is sane, else a new id."""
    state: dict[str, Any] = scope.setdefault("state", {})
    known: str | None = state.get(_ID)
    if known is None:
        known = state[_ID] = _said(scope) or str(uuid4())
        _current.set(known)
    return known


def story_of(scope: Scope) -> UUID:
    """
    Return the id of the story that a request belongs to.

    It is the request's own id where that is a random UUID, so that other systems'
    logs lead to our events.
    """
    try:
        said = UUID(request_id(scope))
    except ValueError:
        return uuid4()
    if said.variant == RFC_4122 and said.version in {4, 7}:
        return said
    return uuid4()


def _said(scope: Scope) -> str | None:
    for name, value in scope.get("headers", ()):
        if name == REQUEST_ID.encode():
            text = value.decode("latin-1")
            return text if _SANE.fullmatch(text) else None
    return None


class RequestIds(logging.Filter):
    """Tells every line of the log which request it belongs to, as ``request_id``."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = _current.get()
        return True
