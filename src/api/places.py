"""How much of one person is answered at once: every request, until its stream ends."""

from litestar.enums import ScopeType
from litestar.handlers.base import BaseRouteHandler

from api.open_streams import OpenStreams
from api.rates import kind_of, who_counts
from api.security import Connection


async def take_place(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let a request be answered beside the others of whoever sends it, or refuse."""
    scope = connection.scope
    if scope["type"] != ScopeType.HTTP:  # sockets have places of their own
        return
    if kind_of(handler, scope["method"]) is None:
        return
    open_streams: OpenStreams = connection.app.state.open_streams
    open_streams.take_place(scope, who_counts(connection))
