"""Who may touch what: the owner may, and to everybody else the thing does not exist."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from application.ports import Actor, Owned, Ownership
from domain.kernel import DomainError
from domain.user.events import Scope

type Kind = Literal[
    "user",
    "project",
    "flow",
    "run",
    "thread",
    "api_key",
    "variable",
    "file",
    "mcp_server",
]


class NotFoundError(DomainError):
    """There is nothing here by that id."""

    def __init__(self, kind: str, resource: object) -> None:
        super().__init__(f"{kind} {resource}")
        self.kind = kind
        self.resource = resource


class PrivilegeError(DomainError):
    """The user doesn't have enough privileges."""


class MissingScopeError(PrivilegeError):
    """This API key lacks the scope."""


class Permissions:
    """
    Ask before every command and query that names a resource.

    A foreign resource and an unknown one give the same answer, so ids tell nothing.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership

    async def require(self, actor: Actor, kind: Kind, resource: UUID) -> Owned:
        """Return who owns *resource*, or refuse as if it were not there."""
        owned = await self._ownership.of(resource)
        if owned is None or owned.kind != kind or not owns(actor, owned.owner):
            raise NotFoundError(kind, resource)
        return owned

    async def among(
        self, actor: Actor, kind: Kind, resources: Sequence[UUID]
    ) -> list[Owned]:
        """Return those of *resources* that *actor* owns, in order, each once."""
        each = await self._ownership.of_each(resources)
        mine = {
            owned.resource: owned
            for owned in each
            if owned.kind == kind and owns(actor, owned.owner)
        }
        return [mine[one] for one in dict.fromkeys(resources) if one in mine]


def owns(actor: Actor, owner: UUID) -> bool:
    """Tell whether *actor* is *owner*, or the system that acts for everybody."""
    return actor.user is None or actor.user == owner


def person(actor: Actor) -> UUID:
    """Return the user that *actor* is; the system has nothing of its own."""
    if actor.user is None:
        raise PrivilegeError
    return actor.user


def only_superusers(actor: Actor) -> None:
    """Refuse everybody else."""
    if actor.user is not None and not actor.superuser:
        raise PrivilegeError


def only_with_scope(actor: Actor, *scopes: Scope) -> None:
    """Refuse a credential that is good for none of *scopes*."""
    if actor.scopes is not None and actor.scopes.isdisjoint(scopes):
        raise MissingScopeError(" or ".join(scopes))
