"""Who asks: an API key, a token, or somebody with a password."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol, override
from urllib.parse import urlencode

import msgspec

from langbuilder.errors import AuthenticationError
from langbuilder.steps import Alone, Steps
from langbuilder.wire import Answer, Call

FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
REFRESH_COOKIE: Final = "refresh_token_lf"

type Exchange = Callable[[Call], Steps[Answer]]
"""Sends a call that nobody signs."""


class Credential(Protocol):
    """Signs calls; its words for people never tell the secret."""

    def signature(self, exchange: Exchange) -> Steps[Mapping[str, str]]:
        """Return the headers that say who asks."""
        ...

    def renew(self, used: Mapping[str, str], exchange: Exchange) -> Steps[bool]:
        """Get a signature other than *used*, which is no longer good; or cannot."""
        ...


class Fixed:
    """Headers that say who asks, the same always."""

    def __init__(self, kind: str, headers: Mapping[str, str]) -> None:
        self._kind = kind
        self._headers = headers

    @override
    def __repr__(self) -> str:
        return self._kind

    def signature(self, exchange: Exchange) -> Steps[Mapping[str, str]]:  # noqa: ARG002 - it needs none
        """Return the headers."""
        yield from ()
        return self._headers

    def renew(self, used: Mapping[str, str], exchange: Exchange) -> Steps[bool]:  # noqa: ARG002 - there is no other
        """There is no other."""
        yield from ()
        return False


def by_key(key: str) -> Fixed:
    """Return who has the API key *key*."""
    return Fixed("an API key", {"x-api-key": key})


def by_token(token: str) -> Fixed:
    """Return who has the access token *token*."""
    return Fixed("a token", {"authorization": f"Bearer {token}"})


def nobody() -> Fixed:
    """Return somebody who is not signed in."""
    return Fixed("nobody", {})


class Tokens(msgspec.Struct, frozen=True):
    """What a sign-in gives."""

    access_token: str
    refresh_token: str | None = None


class Password:
    """
    Somebody with a name and a password, who signs in when first needed.

    Their tokens are renewed as they expire, by one caller for all.
    """

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._tokens: Tokens | None = None

    @override
    def __repr__(self) -> str:
        return "a password"

    def signature(self, exchange: Exchange) -> Steps[Mapping[str, str]]:
        """Return the header with the access token, signing in first if need be."""
        if self._tokens is None:
            yield Alone(self._change(None, exchange))
        return self._header()

    def renew(self, used: Mapping[str, str], exchange: Exchange) -> Steps[bool]:
        """Renew the tokens, unless somebody has done so since *used*."""
        yield Alone(self._change(used, exchange))
        return True

    def _change(
        self, used: Mapping[str, str] | None, exchange: Exchange
    ) -> Steps[None]:
        if self._header() != (used or {}):
            return  # somebody else was first
        if self._tokens is not None and self._tokens.refresh_token:
            try:
                answer = yield from exchange(_refreshing(self._tokens.refresh_token))
            except AuthenticationError:
                self._tokens = None
            else:
                self._tokens = answer.read(Tokens)
                return
        form = urlencode({"username": self._username, "password": self._password})
        answer = yield from exchange(
            Call(
                method="POST",
                path="/api/v1/login",
                headers=FORM,
                content=form.encode(),
            )
        )
        self._tokens = answer.read(Tokens)

    def _header(self) -> Mapping[str, str]:
        if self._tokens is None:
            return {}
        return {"authorization": f"Bearer {self._tokens.access_token}"}


def _refreshing(token: str) -> Call:
    return Call(
        method="POST",
        path="/api/v1/refresh",
        headers={"cookie": f"{REFRESH_COOKIE}={token}"},
    )
