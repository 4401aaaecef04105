"""The component store as people use it: with a key of theirs, or looking around."""

from typing import Final
from uuid import UUID, uuid4

import msgspec

from application.commands import Done, deciding_again
from application.permissions import person
from application.ports import Actor, Attached, Cause, EventStore, Saved, Vault
from application.ports.marketplace import (
    Found,
    Goods,
    Likes,
    Marketplace,
    Shared,
    StoreKeyRefusedError,
    StoreTag,
    Wanted,
)
from application.repeats import once
from domain.flow.secrets import blank, hide
from domain.kernel import DomainError
from domain.user.user import User

KIND: Final = "store-key"


class StoreOffError(DomainError):
    """This server has no component store."""


class NoStoreKeyError(DomainError):
    """This needs a key of the component store; save one first."""


class KeyState(msgspec.Struct, frozen=True):
    """Whether somebody has a key of the store, and whether the store takes it."""

    has_api_key: bool
    is_valid: bool


class Shopping:
    """
    Asks the store in people's names, by the key that each has saved.

    Keys lie in the vault. What people share goes out without its literal secrets.
    """

    def __init__(
        self, store: EventStore, *, vault: Vault, market: Marketplace | None
    ) -> None:
        self._store = store
        self._vault = vault
        self._market = market

    @property
    def enabled(self) -> bool:
        """Whether there is a store."""
        return self._market is not None

    async def save_key(self, actor: Actor, key: str, *, cause: Cause) -> Done[None]:
        """Keep *actor*'s key in place of the one before; an empty one is none."""
        owner = person(actor)

        async def again(before: Saved) -> Done[None]:
            return Done(None, before.position)

        async def attempt() -> Done[None]:
            sealed = await self._vault.seal(owner, KIND, key) if key else None
            user = await self._store.load(User, owner)
            before = user.store_key
            user.keep_store_key(sealed.id if sealed else None)
            saved = await self._store.save(
                user,
                cause=cause,
                attached=Attached(
                    secrets=(sealed,) if sealed else (),
                    destroyed=(before,) if before else (),
                ),
            )
            return Done(None, saved.position)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def key_state(self, actor: Actor) -> KeyState:
        """Tell how it stands with *actor*'s key."""
        if self._market is None:
            return KeyState(has_api_key=False, is_valid=False)
        key = await self._key(actor)
        valid = key is not None and await self._market.takes(key)
        return KeyState(has_api_key=key is not None, is_valid=valid)

    async def tags(self) -> list[StoreTag]:
        """Return the words that things in the store are found by."""
        return [] if self._market is None else await self._market.tags()

    async def find(self, actor: Actor, wanted: Wanted) -> tuple[Found, bool]:
        """Return what is found, and whether the store knew who asked."""
        nothing = Found([], 0)
        if self._market is None:
            return nothing, False
        key = await self._key(actor)
        if key is not None:
            try:
                return await self._market.find(wanted, key), True
            except StoreKeyRefusedError:
                pass  # then as somebody who just looks around
        if wanted.liked or wanted.mine:
            return nothing, False
        return await self._market.find(wanted, None), False

    async def get(self, actor: Actor, component: UUID) -> Goods:
        """Return something of the store whole."""
        return await self._open().get(component, await self._key(actor))

    async def share(
        self, actor: Actor, shared: Shared, *, component: UUID | None = None
    ) -> UUID:
        """Put something into the store, or in the place of *component*."""
        market = self._open()
        named = hide(shared.data, None, lambda _: uuid4()).document
        safe = msgspec.structs.replace(shared, data=blank(named))
        return await market.put(safe, await self._own_key(actor), component=component)

    async def likes(self, actor: Actor) -> list[Likes]:
        """Return the likes of what *actor* likes."""
        return await self._open().likes(await self._own_key(actor))

    async def like(self, actor: Actor, component: UUID) -> Likes:
        """Let *actor* like something, or no longer."""
        return await self._open().like(component, await self._own_key(actor))

    def _open(self) -> Marketplace:
        if self._market is None:
            raise StoreOffError
        return self._market

    async def _own_key(self, actor: Actor) -> str:
        key = await self._key(actor)
        if key is None:
            raise NoStoreKeyError
        return key

    async def _key(self, actor: Actor) -> str | None:
        user = await self._store.load(User, person(actor))
        if user.store_key is None:
            return None
        return (await self._vault.open([user.store_key])).get(user.store_key)
