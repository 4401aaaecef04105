"""API keys: issued once in clear, kept as a hash, revoked at once."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID, uuid4

import msgspec

from application.commands import Done, deciding_again
from application.permissions import Permissions, person
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Claims,
    EventStore,
    Owned,
    Ownership,
)
from domain.kernel import DomainError
from domain.user.user import User

PREFIX: Final = "sk-"
HINT: Final = 8


class ShownOnceError(DomainError):
    """This key was issued already, and a key is shown only once."""


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key, the only time anybody sees it."""

    id: UUID
    name: str
    user: UUID
    key: str


class KeyUse(Protocol):
    """How often a key was used, and when last."""

    @property
    def total(self) -> int: ...

    @property
    def last_at(self) -> datetime | None: ...


class KeyUses(Protocol):
    """The uses of keys."""

    async def totals(self, ids: Sequence[UUID], /) -> Mapping[UUID, KeyUse]: ...


class ApiKeys:
    """
    Keys of users.

    A claim of kind ``api-key`` leads from a key's hash to its id, and the id's
    owner is the user; revoking removes the owner, so a key stops at once.
    """

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        ownership: Ownership,
        digest: Callable[[str], str],
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._store = store
        self._claims = claims
        self._ownership = ownership
        self._permissions = Permissions(ownership)
        self._digest = digest
        self._new_id = new_id

    async def issue(self, actor: Actor, name: str, *, cause: Cause) -> Done[IssuedKey]:
        """Give *actor* a new key."""
        return await deciding_again(lambda: self._issue(actor, name, cause=cause))

    async def _issue(self, actor: Actor, name: str, *, cause: Cause) -> Done[IssuedKey]:
        owner = person(actor)
        user = await self._store.load(User, owner)
        key = PREFIX + secrets.token_urlsafe(32)
        issued = IssuedKey(id=self._new_id(), name=name, user=owner, key=key)
        user.issue_api_key(issued.id, name=name, hint=key[:HINT])
        saved = await self._store.save(
            user,
            cause=cause,
            attached=Attached(
                claims=(Claim("api-key", self._digest(key), issued.id),),
                owned=(Owned(issued.id, "api_key", owner),),
            ),
        )
        if saved.repeated:
            raise ShownOnceError
        return Done(issued, saved.position)

    async def revoke(self, actor: Actor, key_id: UUID, *, cause: Cause) -> Done[None]:
        """Make a key worthless."""
        owned = await self._permissions.require(actor, "api_key", key_id)

        async def attempt() -> Done[None]:
            user = await self._store.load(User, owned.owner)
            user.revoke_api_key(key_id)
            saved = await self._store.save(
                user, cause=cause, attached=Attached(disowned=(key_id,))
            )
            return Done(None, saved.position)

        return await deciding_again(attempt)

    async def bearer(self, key: str) -> tuple[UUID, UUID] | None:
        """Return the key's id and its user's, if it is good."""
        if not key.startswith(PREFIX):
            return None
        key_id = await self._claims.holder("api-key", self._digest(key))
        owned = await self._ownership.of(key_id) if key_id else None
        return (owned.resource, owned.owner) if owned else None
