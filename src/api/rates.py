"""Which rate a route counts for, and what its answers tell of it."""

from typing import Final

from litestar.handlers.base import BaseRouteHandler

from api.problems import told
from api.proxies import counted_as
from api.security import ANONYMOUS, Connection, address_of
from api.stamps import leave
from application.ports import Actor
from application.rates import Kind, Limiter

_READING: Final = frozenset({"GET", "HEAD"})


async def within_rates(connection: Connection, handler: BaseRouteHandler) -> None:
    """Count a request for whoever sends it, or refuse."""
    kind = kind_of(handler, str(connection.scope.get("method", "")))
    if kind is None:
        return
    limiter: Limiter = connection.app.state.limiter
    left = await limiter.spend(kind, who_counts(connection))
    if left is not None:
        leave(connection.scope, told(left))


def kind_of(handler: BaseRouteHandler, method: str) -> Kind | None:
    """Return what a route counts for; what anybody may read counts for nothing."""
    said: Kind | None = handler.opt.get("rate")
    if said is not None:
        return said
    if handler.opt.get("public") and method in _READING:
        return None
    starts = handler.opt.get("scope") == "run" and method not in _READING
    return "runs" if starts else "other"


def who_counts(connection: Connection) -> str:
    """Return whom a request counts for: a user, or an address that nobody knows."""
    actor: Actor | None = connection.state.get("actor")
    if actor is None or actor.user is None or actor == ANONYMOUS:
        return f"address:{counted_as(address_of(connection))}"
    return f"user:{actor.user}"
