"""Signing in by password, by link or unasked; renewing; signing out."""

from typing import Any, Literal

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.params import RequestBody, URLEncodedBody

from api.given import Given
from api.proxies import counted_as
from api.security import (
    ACCESS,
    PUBLIC,
    REFRESH,
    SIGN_IN,
    CookieRules,
    address_of,
    from_this_machine,
    refuse_foreign_pages,
)
from application.names import Name, Password
from application.sessions import (
    AutoLoginOffError,
    BadRefreshTokenError,
    Pass,
    Sessions,
)
from application.users import Users

AnyRequest = Request[Any, Any, Any]


REFUSED = {"refuses": (401,)}
"""A route's ``opt`` where nobody need be known, and who is not may be refused."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What the sign-in form sends; the rest of OAuth2's fields are not needed."""

    username: Name
    password: Password


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """The one-time token of a sign-in link."""

    token: Name


class TokensRead(msgspec.Struct, frozen=True, kw_only=True):
    """What lets a client in; without ``refresh_token`` it cannot be renewed."""

    access_token: str
    refresh_token: str | None
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  not a password


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """The session is over."""

    message: str = "Logout successful"


class LoginController(Controller):
    """Lets people in and out."""

    tags = ("Login",)
    opt = PUBLIC

    @post("/login", status_code=200, opt=SIGN_IN | REFUSED)
    async def login(
        self,
        *,
        request: AnyRequest,
        data: URLEncodedBody[Form],
        sessions: Given[Sessions],
        cookie_rules: Given[CookieRules],
    ) -> Response[TokensRead]:
        """Sign in with name and password."""
        entered = await sessions.sign_in(
            data.username,
            data.password,
            address=counted_as(address_of(request)),
        )
        return _let_in(entered, cookie_rules)

    @post("/login/link", status_code=200, opt=SIGN_IN | REFUSED)
    async def login_by_link(
        self,
        *,
        data: RequestBody[Link],
        sessions: Given[Sessions],
        cookie_rules: Given[CookieRules],
    ) -> Response[TokensRead]:
        """Sign in with the token of a link, once."""
        return _let_in(await sessions.sign_in_by_link(data.token), cookie_rules)

    @get(["/auto_login", "/login/auto"], opt={"refuses": (400,)})
    async def auto_login(
        self,
        *,
        request: AnyRequest,
        sessions: Given[Sessions],
        users: Given[Users],
        cookie_rules: Given[CookieRules],
        auto_login: Given[bool],
    ) -> Response[TokensRead]:
        """Sign in as the first user, where the operator allows it."""
        welcome = auto_login and from_this_machine(request)
        first = await users.first_superuser() if welcome else None
        if first is None:
            raise AutoLoginOffError
        return _let_in(await sessions.sign_in_unasked(first), cookie_rules)

    @post(["/refresh", "/login/refresh"], status_code=200)
    async def refresh(
        self,
        *,
        request: AnyRequest,
        sessions: Given[Sessions],
        cookie_rules: Given[CookieRules],
    ) -> Response[TokensRead]:
        """Exchange the refresh token in the cookie for new tokens."""
        refuse_foreign_pages(request)
        token = request.cookies.get(REFRESH)
        if not token:
            raise BadRefreshTokenError
        return _let_in(await sessions.renew(token), cookie_rules, store_key=None)

    @post("/logout", status_code=200)
    async def logout(
        self,
        *,
        request: AnyRequest,
        sessions: Given[Sessions],
        cookie_rules: Given[CookieRules],
    ) -> Response[Left]:
        """End the session, here and on the server."""
        refuse_foreign_pages(request)
        bearer = request.headers.get("authorization", "").partition(" ")[2]
        await sessions.sign_out(
            bearer or request.cookies.get(ACCESS), request.cookies.get(REFRESH)
        )
        return Response(Left(), cookies=cookie_rules.leaving())


def _let_in(
    entered: Pass, cookies: CookieRules, *, store_key: str | None = ""
) -> Response[TokensRead]:
    return Response(
        TokensRead(
            access_token=entered.access_token, refresh_token=entered.refresh_token
        ),
        cookies=cookies.entering(entered, store_key=store_key),
        headers={"Cache-Control": "no-store"},
    )
