"""Who may call a project's flows as tools, and which of them are tools at all."""

import hmac
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta

from application.auth_settings import AskedSettings, Text, wanted_access
from application.commands import Done, deciding_again
from application.failures import Failures
from application.names import Name
from application.permissions import Permissions
from application.ports import (
    Actor,
    Cause,
    EventStore,
    Ownership,
    StreamNotFoundError,
    Vault,
)
from application.sessions import Accounts
from domain.flow.flow import Flow
from domain.kernel import Aggregate, DomainError
from domain.project.events import McpAccess
from domain.project.project import Project

MOST_FLOWS: Final = 1_000
"""How many flows one request may speak of."""

_CARRIED_OUT: Final = ("none", "apikey", "basic", "bearer")


class UnsupportedMcpAccessError(DomainError):
    """OAuth and IAM are not served; the owner may choose apikey, bearer or basic."""


class McpToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a flow shows as a tool; what is null stays, name and description anyway."""

    id: UUID
    mcp_enabled: bool | None = None
    action_name: Name | None = None
    action_description: Text | None = None
    name: str | None = None
    description: str | None = None


class McpChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change; without ``auth_settings`` callers are checked as before."""

    settings: Annotated[list[McpToolSettings], Meta(max_length=MOST_FLOWS)]
    auth_settings: AskedSettings = UNSET


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller shows, and the address they come from."""

    address: str
    key: str | None = None
    bearer: str | None = None
    basic: tuple[str, str] | None = None


class Caller(msgspec.Struct, frozen=True):
    """
    Whom a project's own settings let in, if anybody.

    ``refused`` tells that a secret was shown and is wrong, unless it turns out to be
    a credential of another kind.
    """

    actor: Actor | None
    refused: bool = False


class McpAccesses:
    """Load a project, let it decide about its callers, and know them again."""

    def __init__(
        self,
        store: EventStore,
        *,
        ownership: Ownership,
        vault: Vault,
        accounts: Accounts,
        failures: Failures,
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._vault = vault
        self._accounts = accounts
        self._failures = failures

    async def of(self, actor: Actor, project_id: UUID) -> McpAccess | None:
        """Return what *actor* has set for the callers of a project's tools."""
        await self._permissions.require(actor, "project", project_id)
        return (await self._store.load(Project, project_id)).mcp_access

    async def configure(
        self, actor: Actor, project_id: UUID, change: McpChange, *, cause: Cause
    ) -> Done[int]:
        """Change flows and access together; say how many flows were spoken of."""
        owned = await self._permissions.require(actor, "project", project_id)
        asked = {one.id: one for one in change.settings}
        mine = [
            one.resource
            for one in await self._permissions.among(actor, "flow", list(asked))
            if one.project == project_id
        ]
        wanted = await wanted_access(
            change.auth_settings, owner=owned.owner, vault=self._vault
        )

        async def attempt() -> Done[int]:
            project = await self._store.load(Project, project_id)
            attached = wanted.decide(project)
            decided: list[Aggregate[Any]] = [project]
            for flow in await self._store.load_each(Flow, mine):
                _expose(flow, asked[flow.id])
                decided.append(flow)
            saved = await self._store.save(
                *(one for one in decided if one.recorded),
                cause=cause,
                attached=attached,
            )
            return Done(len(mine), saved.position)

        return await deciding_again(attempt)

    async def caller(self, project_id: UUID, offered: Offered) -> Caller:
        """
        Return the project's owner where its settings let the caller act as them.

        Nobody is let in whose owner may not sign in. Raise `TooManyFailuresError`
        where too many wrong secrets came from this address, and
        `UnsupportedMcpAccessError`, whoever calls, where nobody can be checked so.
        """
        try:
            project = await self._store.load(Project, project_id)
        except StreamNotFoundError:
            return Caller(None)
        access = project.mcp_access
        if access is None or project.deleted:
            return Caller(None)
        if access.auth_type not in _CARRIED_OUT:
            raise UnsupportedMcpAccessError
        await self._failures.check(str(project_id), offered.address)
        fits, shown = await self._fits(access, offered)
        if not fits:
            return Caller(None, refused=shown)
        await self._failures.forget(str(project_id), offered.address)
        account = await self._accounts.get(project.owner)
        if account is None or not account.active:
            return Caller(None)
        return Caller(Actor(project.owner, credential=f"mcp:{project_id}"))

    async def note_failure(self, project_id: UUID, address: str) -> None:
        """Count a wrong secret from *address*."""
        await self._failures.note(str(project_id), address)

    async def _fits(self, access: McpAccess, offered: Offered) -> tuple[bool, bool]:
        """Tell whether what is offered fits, and whether anything was."""
        pairs = {
            "apikey": [(offered.key, "api_key")],
            "bearer": [(offered.bearer, "bearer_token")],
            "basic": [
                (offered.basic and offered.basic[0], "username"),
                (offered.basic and offered.basic[1], "password"),
            ],
        }.get(access.auth_type)
        if pairs is None:
            return access.auth_type == "none", False
        if any(given is None for given, _ in pairs):
            return False, False
        opened = await self._vault.open(list(access.secrets.values()))
        known = access.plain | {
            key: opened[ref] for key, ref in access.secrets.items() if ref in opened
        }
        fit = [_alike(given or "", known.get(key)) for given, key in pairs]
        return all(fit), True


def _expose(flow: Flow, asked: McpToolSettings) -> None:
    wanted: dict[str, Any] = {
        name: given
        for name in ("mcp_enabled", "action_name", "action_description")
        if (given := getattr(asked, name)) is not None
    }
    if wanted:
        flow.expose(**wanted)


def _alike(given: str, known: str | None) -> bool:
    """Compare in a time that tells nothing of where they differ."""
    return bool(known) and hmac.compare_digest(given.encode(), (known or "").encode())
