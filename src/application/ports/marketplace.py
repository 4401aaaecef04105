"""The component store: where people share flows and components, on another server."""

from typing import Any, Protocol
from uuid import UUID

import msgspec

from domain.kernel import DomainError


class StoreAwayError(DomainError):
    """The component store cannot be reached."""


class StoreRefusedError(DomainError):
    """The component store refuses this."""


class StoreKeyRefusedError(DomainError):
    """The component store does not take this key."""


class NotInStoreError(DomainError):
    """The component store has nothing of this id."""


class StoreTag(msgspec.Struct, frozen=True):
    """A word that things in the store are found by."""

    id: UUID
    name: str | None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the store, as lists show it."""

    id: UUID
    name: str | None = None
    description: str | None = None
    liked_by_count: int | None = None
    liked_by_user: bool | None = None
    is_component: bool | None = None
    metadata: dict[str, Any] | None = None
    user_created: dict[str, Any] | None = None
    tags: list[StoreTag] | None = None
    downloads_count: int | None = None
    last_tested_version: str | None = None
    private: bool | None = None


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the store, with all that it consists of."""

    id: UUID
    name: str | None
    description: str | None
    data: dict[str, Any] | None
    is_component: bool | None
    metadata: dict[str, Any] | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody looks for; what is not said does not matter."""

    component_id: UUID | None = None
    search: str = ""
    private: bool | None = None
    is_component: bool | None = None
    tags: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    liked: bool = False
    mine: bool = False
    page: int = 1
    limit: int = 10


class Found(msgspec.Struct, frozen=True):
    """A page of what there is, and how much there is in all."""

    offers: list[Offer]
    count: int


class Likes(msgspec.Struct, frozen=True):
    """How many like something, and whether whoever asks does."""

    likes_count: int | None
    liked_by_user: bool | None


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody puts into the store."""

    name: str
    description: str | None
    data: dict[str, Any]
    tags: tuple[str, ...]
    is_component: bool
    private: bool
    parent: UUID | None = None
    last_tested_version: str | None = None


class Marketplace(Protocol):
    """
    The store on its server. *key* is somebody's there; without one it is public.

    Each raises `StoreAwayError`, `StoreRefusedError` or `StoreKeyRefusedError`.
    """

    async def takes(self, key: str) -> bool:
        """Tell whether *key* is anybody's."""
        ...

    async def tags(self) -> list[StoreTag]: ...

    async def find(self, wanted: Wanted, key: str | None) -> Found: ...

    async def get(self, component: UUID, key: str | None) -> Goods:
        """Return something whole, or raise `NotInStoreError`."""
        ...

    async def put(
        self, shared: Shared, key: str, *, component: UUID | None = None
    ) -> UUID:
        """Put something in, or in the place of *component*; return its id."""
        ...

    async def likes(self, key: str) -> list[Likes]:
        """Return the likes of all that its owner likes."""
        ...

    async def like(self, component: UUID, key: str) -> Likes:
        """Like something, or no longer; return how many do."""
        ...
