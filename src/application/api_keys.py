"""API keys: issued once in clear, kept as a hash, revoked at once."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Protocol
from uuid import UUID, uuid4

import msgspec
from msgspec import Meta

from application.commands import Done, deciding_again
from application.names import Name
from application.permissions import Permissions, PrivilegeError, person
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
from domain.user.api_key import ApiKey
from domain.user.events import Scope
from domain.user.user import User

PREFIX: Final = "sk-"
HINT: Final = 8
MOST: Final = 1_000
"""Keys that one user may have at a time."""


class ShownOnceError(DomainError):
    """This key was issued already, and a key is shown only once."""


class BroaderKeyError(PrivilegeError):
    """A key cannot be given more scopes than the one it is made with."""


class KeyBornExpiredError(DomainError):
    """A key cannot expire before it is issued."""


class TooManyApiKeysError(DomainError):
    """A user has at most a thousand API keys; revoke some first."""


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """
    A key to be.

    Without ``scopes`` it may do all that its user may; ``expires_at`` without an
    offset is UTC, and without it the key lasts until it is revoked.
    """

    name: Name | None = None
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=100)] | None = None
    expires_at: datetime | None = None


class KeyChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is to be; absent and null fields stay as they are."""

    name: Name | None = None
    is_active: bool | None = None


class IssuedKey(msgspec.Struct, frozen=True):
    """A new key, the only time anybody sees it."""

    id: UUID
    name: str
    user: UUID
    key: str
    scopes: tuple[Scope, ...] | None = None
    expires_at: datetime | None = None


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

    async def issue(
        self, actor: Actor, new: NewKey, *, cause: Cause
    ) -> Done[IssuedKey]:
        """Give *actor* a new key; it can do no more than what it was asked with."""
        scopes = _scopes(actor, new.scopes)
        expires_at = _moment(new.expires_at)
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise KeyBornExpiredError
        return await deciding_again(
            lambda: self._issue(
                actor, new.name or "", scopes, expires_at=expires_at, cause=cause
            )
        )

    async def _issue(
        self,
        actor: Actor,
        name: str,
        scopes: tuple[Scope, ...] | None,
        *,
        expires_at: datetime | None,
        cause: Cause,
    ) -> Done[IssuedKey]:
        owner = person(actor)
        user = await self._store.load(User, owner)
        if len(user.api_keys) >= MOST:
            raise TooManyApiKeysError
        key = PREFIX + secrets.token_urlsafe(32)
        issued = IssuedKey(self._new_id(), name, owner, key, scopes, expires_at)
        user.issue_api_key(
            issued.id,
            name=name,
            hint=key[:HINT],
            scopes=scopes,
            expires_at=expires_at,
        )
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

    async def change(
        self, actor: Actor, key_id: UUID, change: KeyChange, *, cause: Cause
    ) -> Done[ApiKey]:
        """Rename a key, or let it rest: then it opens nothing until it is woken."""
        owned = await self._permissions.require(actor, "api_key", key_id)

        async def attempt() -> Done[ApiKey]:
            user = await self._store.load(User, owned.owner)
            user.change_api_key(key_id, name=change.name, active=change.is_active)
            saved = await self._store.save(user, cause=cause)
            return Done(user.api_keys[key_id], saved.position)

        return await deciding_again(attempt)

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


def _scopes(actor: Actor, wanted: list[Scope] | None) -> tuple[Scope, ...] | None:
    """Return the scopes of a key that *actor* makes: no more than they have."""
    held = actor.scopes
    if wanted is None:
        return None if held is None else tuple(sorted(held))
    if held is not None and not held.issuperset(wanted):
        raise BroaderKeyError
    return tuple(sorted(set(wanted)))


def _moment(said: datetime | None) -> datetime | None:
    if said is None:
        return None
    return said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
