"""Who is let in: nobody without a credential, except where a route says so."""

import re
from typing import Any, Final, get_args
from urllib.parse import urlsplit
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers.base import BaseRouteHandler
from msgspec.structs import replace

from api.problems import BEARER, Refusal
from api.proxies import Proxies, passed_on
from application.permissions import only_superusers, only_with_scope
from application.ports import Actor
from application.sessions import Pass, Sessions
from domain.flow.secrets import PLACEHOLDER
from domain.kernel import DomainError
from domain.user.events import Scope
from infrastructure.settings import is_loopback

type Connection = ASGIConnection[Any, Any, Any, Any]

PUBLIC: Final = {"public": True}
"""A route's ``opt`` that lets in anybody, as nobody in particular."""

RUN: Final = {"scope": "run"}
ADMIN: Final = {"scope": "admin"}
READ: Final = {"scope": "read"}
WATCH: Final = {"scope": ("read", "run")}
ANY: Final = {"scope": get_args(Scope.__value__)}
"""A route's ``opt`` that says which scopes of an API key open it, any of them."""

SIGN_IN: Final = {"public": True, "rate": "sign_in"}
PUBLIC_RUN: Final = {"public": True, "rate": "public_runs"}
UPLOAD: Final = {"rate": "uploads", "refuses": (408, 415, 507)}
"""A route's ``opt`` that says which rate it counts for, where no rule does."""

GUARDED_ITSELF: Final = {"guarded_itself": True}
"""A route's ``opt`` that has a guard of its own find out who asks."""

ANONYMOUS: Final = Actor(UUID(int=0))

CLIENT: Final = "client_id"
"""The cookie that tells one visitor of public flows from another."""

ACCESS: Final = "access_token_lf"
REFRESH: Final = "refresh_token_lf"
STORE_KEY: Final = "apikey_tkn_lflw"
KEY: Final = "x-api-key"

# The front end fetches these without any header of its own: the events of a run, its
# cancelling, and what an <img> shows.
_COOKIE_ROUTES = re.compile(
    r"/api/v1/(build/[^/]+/(events|cancel)|files/images/[^/]+/[^/]+)/?"
)
_VISITED = re.compile(r"/api/v1/build/[^/]+/(events|cancel)/?")
_CLIENT = re.compile(r"[!-~]{1,128}")
_SAFE = frozenset({"GET", "HEAD"})


def by_cookie(path: str) -> bool:
    """Tell whether the cookie of a sign-in is accepted at *path*."""
    return _COOKIE_ROUTES.fullmatch(path) is not None


async def signed_in(connection: Connection, handler: BaseRouteHandler) -> None:
    """Find out who asks, or refuse."""
    if handler.opt.get("public") or connection.scope.get("method") == "OPTIONS":
        connection.state.actor = ANONYMOUS
    elif not handler.opt.get("guarded_itself"):
        await admit(connection, handler)


async def admit(connection: Connection, handler: BaseRouteHandler) -> None:
    """Let in whoever has a credential of a user, good for what they ask."""
    sessions: Sessions = connection.app.state.sessions
    actor = await _actor(connection, sessions)
    only_with_scope(actor, *scopes_of(connection, handler))
    connection.state.actor = actor


def scopes_of(connection: Connection, handler: BaseRouteHandler) -> tuple[Scope, ...]:
    """Return the scopes of which a key needs one here."""
    said: Scope | tuple[Scope, ...] | None = handler.opt.get("scope")
    if said is None:
        method = connection.scope.get("method")
        said = "run" if method is None else "read" if method in _SAFE else "write"
    return (said,) if isinstance(said, str) else said


async def superuser(connection: Connection, _: BaseRouteHandler) -> None:
    """Refuse everybody who is not a superuser."""
    only_superusers(connection.state.actor)


async def _actor(connection: Connection, sessions: Sessions) -> Actor:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        if token.startswith("sk-"):
            return await sessions.key(token)
        return await sessions.bearer(token)
    key = connection.headers.get(KEY) or connection.query_params.get(KEY)
    if key:
        return await sessions.key(key)
    cookie = connection.cookies.get(ACCESS)
    visits = _visits(connection)
    if cookie and by_cookie(connection.url.path):
        if not same_origin(connection):
            raise Refusal(403, "This page may not use the cookie")
        return await _by_cookie(cookie, sessions, visits=visits)
    if visits:
        refuse_foreign_pages(connection)
        return ANONYMOUS
    raise Refusal(403, "An API key must be passed as query or header", BEARER)


async def _by_cookie(cookie: str, sessions: Sessions, *, visits: bool) -> Actor:
    """Return who a page's cookies say it is: a user, or a visitor of public flows."""
    try:
        return await sessions.bearer(cookie)
    except DomainError:
        if visits:
            return ANONYMOUS
        raise


def visitor_of(connection: Connection) -> str | None:
    """Return who visits public flows, by the cookie that their page made up."""
    client = connection.cookies.get(CLIENT)
    return client if client and _CLIENT.fullmatch(client) else None


def visiting(connection: Connection, flow: UUID) -> None:
    """Note which public flow a visitor is shown, for it may be closed meanwhile."""
    connection.state.actor = replace(ANONYMOUS, credential=open_as(flow))


def open_as(flow: UUID) -> str:
    """Return the credential of whoever is shown *flow* because anybody is."""
    return f"public:{flow}"


def _visits(connection: Connection) -> bool:
    """Tell whether a visitor asks for what visitors may have: runs of their own."""
    path = connection.url.path
    return _VISITED.fullmatch(path) is not None and visitor_of(connection) is not None


def same_origin(connection: Connection) -> bool:
    """
    Tell whether the request comes from a page of ours.

    A browser names the page's origin, at least where the request may change
    something; for reading, what it says of the site is enough.
    """
    origin = connection.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == connection.headers.get("host", "")
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    return connection.scope.get("method") in _SAFE


def refuse_foreign_pages(connection: Connection) -> None:
    """Refuse another site's page that has the browser send our cookies."""
    if connection.headers.get("origin") is not None and not same_origin(connection):
        raise Refusal(403, "This page may not use the cookie")


def from_this_machine(connection: Connection) -> bool:
    """
    Tell whether whoever asks sits at this machine, and meant to ask it.

    A name that somebody elsewhere bound to this machine makes their page look like
    ours to a browser; a proxy makes everybody look like a neighbour.
    """
    return sits_here(connection) and same_origin(connection)


def sits_here(connection: Connection) -> bool:
    """
    Tell whether a request comes from this machine, and through nobody else.

    A proxy on this machine makes everybody a neighbour: so nothing that one passed on
    counts, nor anything at all from where one is said to be.
    """
    headers, address = connection.headers, address_of(connection)
    proxies: Proxies = connection.app.state.proxies
    return (
        names_this_machine(headers.get("host", ""))
        and is_loopback(address)
        and not passed_on(headers)
        and not proxies.trust(address)
    )


def names_this_machine(host: str) -> bool:
    """Tell whether a Host header names this machine, as nobody elsewhere can."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


class CookieRules:
    """How the cookies of a sign-in are set, so that they are deleted alike."""

    def __init__(
        self,
        *,
        domain: str | None,
        access: dict[str, Any],
        refresh: dict[str, Any],
        access_seconds: int,
        refresh_seconds: int,
        tls: bool = False,
    ) -> None:
        self._domain = domain
        self._tls = tls
        self._access = access
        self._refresh = refresh
        self._access_seconds = access_seconds
        self._refresh_seconds = refresh_seconds

    def over(self, scheme: str) -> "CookieRules":
        """Return the rules for who came by *scheme*: once over TLS, always."""
        return CookieRules(
            domain=self._domain,
            access=self._access,
            refresh=self._refresh,
            access_seconds=self._access_seconds,
            refresh_seconds=self._refresh_seconds,
            tls=scheme == "https",
        )

    def entering(self, entered: Pass, *, store_key: str | None = None) -> list[Cookie]:
        """
        Return the cookies of somebody who was let in.

        Who cannot renew the token stays as long as the browser is open. *store_key*
        is told to those who sign in, not to those who only renew.
        """
        lasts = self._access_seconds if entered.refresh_token else None
        cookies = [self._cookie(ACCESS, entered.access_token, lasts)]
        if store_key is not None:
            cookies.append(self._cookie(STORE_KEY, store_key, None))
        if entered.refresh_token:
            cookies.append(
                self._cookie(REFRESH, entered.refresh_token, self._refresh_seconds)
            )
        return cookies

    def store_key(self, *, kept: bool) -> Cookie:
        """Return the cookie that says whether there is a store key, and never which."""
        return self._cookie(STORE_KEY, PLACEHOLDER if kept else "", None)

    def leaving(self) -> list[Cookie]:
        """Return the cookies that make a browser forget."""
        return [self._cookie(name, "", 0) for name in (ACCESS, REFRESH, STORE_KEY)]

    def _cookie(self, key: str, value: str, max_age: int | None) -> Cookie:
        rules = self._refresh if key == REFRESH else self._access
        if self._tls:
            rules = rules | {"secure": True}
        return Cookie(
            key=key,
            value=value,
            max_age=max_age,
            domain=self._domain,
            path="/",
            **rules,
        )


def address_of(connection: Connection) -> str:
    """Return where a request comes from, as the socket or a trusted proxy has it."""
    return connection.client.host if connection.client else ""
