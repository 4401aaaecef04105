"""The two clients: one blocks, one is awaited, and otherwise they are the same."""

import os
import platform
from collections.abc import Mapping
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Final, Self, override

import httpx
import msgspec

from langbuilder.belongings import ApiKeys, Users, Variables
from langbuilder.credentials import Credential, Password, by_key, by_token, nobody
from langbuilder.drivers import Awaiting, Blocking
from langbuilder.errors import ConfigurationError
from langbuilder.files import Files
from langbuilder.flows import Flows
from langbuilder.messages import Messages, Sessions
from langbuilder.operations import Resource, operation
from langbuilder.projects import Projects
from langbuilder.runs import Runs
from langbuilder.sending import Retries, Sending
from langbuilder.steps import Steps
from langbuilder.wire import SAFE, UNSET, Answer, Query, command

LOCAL: Final = "http://127.0.0.1:7860"
TIMEOUT: Final = 60.0
CONNECTING: Final = 10.0


class _Everything[D](Resource[D]):
    """What can be asked of a server, over a driver."""

    def __init__(self, driver: D, sending: Sending, address: str) -> None:
        super().__init__(driver, sending)
        self._address = address
        self.flows = Flows(driver, sending)
        self.projects = Projects(driver, sending)
        self.runs = Runs(driver, sending)
        self.messages = Messages(driver, sending)
        self.sessions = Sessions(driver, sending)
        self.files = Files(driver, sending)
        self.variables = Variables(driver, sending)
        self.api_keys = ApiKeys(driver, sending)
        self.users = Users(driver, sending)

    @override
    def __repr__(self) -> str:
        signed = f"signed in by {self._sending.credential!r}"
        return f"<{type(self).__name__} of {self._address}, {signed}>"

    @operation
    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Any = UNSET,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Steps[Answer]:
        """
        Send any request, signed, and return the answer; errors are raised as ever.

        For routes that have no method here. *json* is the body, or *content* is. It
        is tried again only if it is a question, or if *key* makes it safe: an
        idempotency key, which the server must know on this route.
        """
        method = method.upper()
        call = command(
            method,
            path,
            json,
            query=query,
            headers=headers,
            key=key,
            once=key is not None and method not in SAFE,
        )
        if content is not None:
            call = msgspec.structs.replace(call, content=content)
        return (yield from self._send(call))


class Client(_Everything[Blocking]):
    """
    LangBuilder, for programs that block.

    ::

        with Client("http://127.0.0.1:7860", api_key="sk-…") as client:
            print(client.runs.run("my-flow", "Hello").text)

    *url* and *api_key* are by default what ``LANGBUILDER_URL`` and
    ``LANGBUILDER_API_KEY`` say. Instead of a key give a *token*, or *username* and
    *password*: then it signs in when first needed, and again as that expires.
    *timeout* are the seconds to wait for an answer, *retries* how often to try again
    what may safely be. *transport* is an httpx transport, for proxies and the like.
    One client serves any number of threads; close it, or use it in a ``with`` block.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: float = TIMEOUT,
        retries: Retries | int = Retries(),  # noqa: B008 - frozen
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        sending = _sending(api_key, token, username, password, retries)
        address = _address(url)
        http = httpx.Client(
            base_url=address,
            transport=transport,
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECTING)),
            cookies=_no_cookies(),
        )
        super().__init__(Blocking(http), sending, address)

    def close(self) -> None:
        """Close all connections; runs go on."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(_Everything[Awaiting]):
    """
    LangBuilder, for programs on asyncio: like `Client`, and awaited.

    ::

        async with AsyncClient() as client:
            async for word in client.runs.stream("my-flow", "Hello").text:
                print(word, end="")
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        token: str | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: float = TIMEOUT,
        retries: Retries | int = Retries(),  # noqa: B008 - frozen
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        sending = _sending(api_key, token, username, password, retries)
        address = _address(url)
        http = httpx.AsyncClient(
            base_url=address,
            transport=transport,
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECTING)),
            cookies=_no_cookies(),
        )
        super().__init__(Awaiting(http), sending, address)

    async def close(self) -> None:
        """Close all connections; runs go on."""
        await self._driver.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _address(url: str | None) -> str:
    said = url or os.environ.get("LANGBUILDER_URL") or LOCAL
    try:
        parsed = httpx.URL(said)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigurationError(f"The url is no address like {LOCAL}")
    if parsed.userinfo:
        raise ConfigurationError(
            "The address has a password in it: give username and password apart"
        )
    return str(parsed)


def _sending(
    api_key: str | None,
    token: str | None,
    username: str | None,
    password: str | None,
    retries: Retries | int,
) -> Sending:
    credential = _credential(api_key, token, username, password)
    retries = Retries(most=retries) if isinstance(retries, int) else retries
    return Sending(credential, retries, {"user-agent": user_agent()})


def _credential(
    api_key: str | None, token: str | None, username: str | None, password: str | None
) -> Credential:
    ways = [way for way in (api_key, token, username or password) if way is not None]
    if len(ways) > 1:
        raise ConfigurationError(
            "Give one of api_key, token, or username and password, not several"
        )
    if username is not None or password is not None:
        if not username or not password:
            raise ConfigurationError("username and password go together")
        return Password(username, password)
    if token is not None:
        return by_token(_printable(token, "token"))
    key = api_key or os.environ.get("LANGBUILDER_API_KEY")
    return by_key(_printable(key, "API key")) if key else nobody()


def _printable(secret: str, what: str) -> str:
    """Return *secret* if it can stand in a header; else say so without telling it."""
    secret = secret.strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise ConfigurationError(f"This is no {what}: it has characters that none has")
    return secret


def _no_cookies() -> CookieJar:
    # The session's cookies are the browser's; a client says who it is by header.
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@cache
def user_agent() -> str:
    """Return how this client calls itself to the server."""
    try:
        ours = version("langbuilder-eventsourced")
    except PackageNotFoundError:
        ours = "unknown"
    return f"langbuilder-python/{ours} Python/{platform.python_version()}"
