"""Who calls tools: people with credentials of theirs, or whom a project lets in."""

import base64
import binascii
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler

from api.problems import Refusal
from api.proxies import counted_as
from api.security import KEY, Connection, address_of, admit, names_this_machine
from application.mcp_access import McpAccesses, Offered
from application.permissions import Permissions
from domain.kernel import DomainError

_BROWSER: Final = "sec-fetch-site"


class Callers:
    """Finds out who calls, and keeps pages of other sites away."""

    def __init__(
        self,
        accesses: McpAccesses,
        permissions: Permissions,
        *,
        origins: Sequence[str] = (),
    ) -> None:
        self._accesses = accesses
        self._permissions = permissions
        self._origins = frozenset(origins)

    def refuse_pages(self, connection: Connection) -> None:
        """
        Refuse what a page in a browser sends, unless it is ours on this machine.

        MCP clients are no pages. A page whose name was bound to this machine looks
        like ours to a browser: so only names that can be nobody else's are believed.
        """
        origin = connection.headers.get("origin")
        host = connection.headers.get("host", "")
        if origin is not None:
            if origin in self._origins:
                return
            ours = urlsplit(origin).netloc == host
        elif _BROWSER in connection.headers:
            ours = True
        else:
            return
        if not ours or not names_this_machine(host):
            raise Refusal(403, "A page of this origin may not speak MCP")

    async def admit_to_project(
        self, connection: Connection, handler: BaseRouteHandler
    ) -> None:
        """Let in whom the project's own settings do, else its owner."""
        project = _project(connection)
        if project is None:
            await admit(connection, handler)
            return
        offered = _offered(connection)
        caller = await self._accesses.caller(project, offered)
        if caller.actor is not None:
            connection.state.actor = caller.actor
            return
        try:
            await admit(connection, handler)
        except (DomainError, HTTPException):
            if caller.refused:
                await self._accesses.note_failure(project, offered.address)
            raise
        await self._permissions.require(connection.state.actor, "project", project)


async def no_pages(connection: Connection, _: BaseRouteHandler) -> None:
    """Refuse pages of other sites."""
    _callers(connection).refuse_pages(connection)


async def callers_of_project(connection: Connection, handler: BaseRouteHandler) -> None:
    """Refuse pages of other sites, and everybody whom the project does not let in."""
    callers = _callers(connection)
    callers.refuse_pages(connection)
    await callers.admit_to_project(connection, handler)


def _callers(connection: Connection) -> Callers:
    callers: Callers = connection.app.state.callers
    return callers


def _project(connection: Connection) -> UUID | None:
    try:
        return UUID(str(connection.path_params["project_id"]))
    except ValueError:
        return None  # the route itself says what is wrong with it


def _offered(connection: Connection) -> Offered:
    scheme, _, said = connection.headers.get("authorization", "").partition(" ")
    key = connection.headers.get(KEY) or connection.query_params.get(KEY)
    return Offered(
        address=counted_as(address_of(connection)),
        key=key,
        bearer=said if scheme.lower() == "bearer" and said else None,
        basic=_basic(said) if scheme.lower() == "basic" else None,
    )


def _basic(said: str) -> tuple[str, str] | None:
    try:
        name, _, password = (
            base64.b64decode(said, validate=True).decode().partition(":")
        )
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name, password
