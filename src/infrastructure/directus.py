"""A component store on a Directus server, by its items API."""

import functools
import logging
from collections.abc import Mapping
from typing import Any, Final, override
from uuid import UUID

import httpx
import msgspec

from application.ports.marketplace import (
    Found,
    Goods,
    Likes,
    Marketplace,
    NotInStoreError,
    Offer,
    Shared,
    StoreAwayError,
    StoreKeyRefusedError,
    StoreRefusedError,
    StoreTag,
    Wanted,
)
from domain.kernel import Json

log = logging.getLogger(__name__)

TIMEOUT: Final = httpx.Timeout(15.0, connect=5.0)
LARGEST: Final = 32 * 1024 * 1024
"""Bytes of an answer that are read, and no more."""
MOST: Final = 100
ME: Final = "$CURRENT_USER"
SHOWN: Final = (
    *("id", "name", "description", "is_component", "metadata", "private"),
    *("last_tested_version", "user_created.username"),
    *("tags.tags_id.id", "tags.tags_id.name"),
    *("count(liked_by)", "count(downloads)"),
)
WHOLE: Final = ("id", "name", "description", "data", "is_component", "metadata")
COMPONENTS: Final = "/items/components"
UNKNOWN: Final = 401
ABSENT: Final = frozenset({403, 404})
"""Directus says "forbidden" of what does not exist, too."""


class _Tagged(msgspec.Struct):
    tags_id: StoreTag | None = None


class _Item(msgspec.Struct):
    """An item as Directus has it: its tags hang on a table between."""

    id: UUID
    name: str | None = None
    description: str | None = None
    is_component: bool | None = None
    metadata: dict[str, Any] | None = None
    user_created: dict[str, Any] | None = None
    tags: list[_Tagged] | None = None
    liked_by_count: int | None = None
    downloads_count: int | None = None
    last_tested_version: str | None = None
    private: bool | None = None


class _Meta(msgspec.Struct):
    filter_count: int = 0


class _Answer[T](msgspec.Struct):
    data: T
    meta: _Meta = msgspec.field(default_factory=_Meta)


class _Made(msgspec.Struct):
    id: UUID


class Directus(Marketplace):
    """
    Asks the server that the operator named; its address comes from nobody else.

    Likes and downloads are counted by hooks of that server, where there are any.
    """

    def __init__(
        self, url: str, *, like_hook: str | None = None, download_hook: str | None
    ) -> None:
        self._url = url.rstrip("/")
        self._like_hook = like_hook
        self._download_hook = download_hook

    @override
    async def takes(self, key: str) -> bool:
        try:
            await self._ask("GET", "/users/me", key, params={"fields": "id"})
        except StoreKeyRefusedError:
            return False
        return True

    @override
    async def tags(self) -> list[StoreTag]:
        params = {"fields": "id,name", "limit": str(MOST)}
        answer = await self._ask("GET", "/items/tags", None, params=params)
        return _read(answer, _Answer[list[StoreTag]]).data

    @override
    async def find(self, wanted: Wanted, key: str | None) -> Found:
        params = {
            "fields": ",".join(SHOWN),
            "filter": _json({"_and": _conditions(wanted)}),
            "sort": ",".join(wanted.sort) or "-count(liked_by)",
            "page": str(wanted.page),
            "limit": str(wanted.limit),
            "meta": "filter_count",
        }
        answer = await self._ask("GET", COMPONENTS, key, params=params)
        found = _read(answer, _Answer[list[_Item]])
        liked = set() if key is None else await self._liked(found.data, key)
        offers = [_offer(item, liked, known=key is not None) for item in found.data]
        return Found(offers, found.meta.filter_count)

    @override
    async def get(self, component: UUID, key: str | None) -> Goods:
        params = {"fields": ",".join(WHOLE)}
        answer = await self._ask("GET", f"{COMPONENTS}/{component}", key, params=params)
        goods = _read(answer, _Answer[Goods]).data
        if self._download_hook is not None:
            told = {"component_id": str(component)}
            try:
                await self._ask("POST", self._download_hook, key, json=told)
            except (StoreAwayError, StoreRefusedError, StoreKeyRefusedError) as failed:
                log.warning("a download was not counted: %s", failed.sentence)
        return goods

    @override
    async def put(
        self, shared: Shared, key: str, *, component: UUID | None = None
    ) -> UUID:
        item: dict[str, Json] = msgspec.to_builtins(shared)
        item["tags"] = [{"tags_id": tag} for tag in shared.tags]
        path = COMPONENTS if component is None else f"{COMPONENTS}/{component}"
        answer = await self._ask(
            "POST" if component is None else "PATCH",
            path,
            key,
            params={"fields": "id"},
            json=item,
        )
        return _read(answer, _Answer[_Made]).data.id

    @override
    async def likes(self, key: str) -> list[Likes]:
        params = {
            "fields": "id,count(liked_by)",
            "filter": _json({"_and": _conditions(Wanted(liked=True))}),
            "limit": str(MOST),
        }
        answer = await self._ask("GET", COMPONENTS, key, params=params)
        liked = _read(answer, _Answer[list[_Item]]).data
        return [Likes(item.liked_by_count, liked_by_user=True) for item in liked]

    @override
    async def like(self, component: UUID, key: str) -> Likes:
        if self._like_hook is None:
            raise StoreRefusedError("it counts no likes")
        told = {"component_id": str(component)}
        await self._ask("POST", self._like_hook, key, json=told)
        params = {"fields": "id,count(liked_by)"}
        answer = await self._ask("GET", f"{COMPONENTS}/{component}", key, params=params)
        item = _read(answer, _Answer[_Item]).data
        liked = await self._liked([item], key)
        return Likes(item.liked_by_count, component in liked)

    async def _liked(self, items: list[_Item], key: str) -> set[UUID]:
        """Return which of *items* the owner of *key* likes."""
        if not items:
            return set()
        among = {"id": {"_in": [str(item.id) for item in items]}}
        mine = [among, *_conditions(Wanted(liked=True))]
        params = {"fields": "id", "filter": _json({"_and": mine}), "limit": str(MOST)}
        answer = await self._ask("GET", COMPONENTS, key, params=params)
        return {item.id for item in _read(answer, _Answer[list[_Item]]).data}

    async def _ask(
        self,
        method: str,
        path: str,
        key: str | None,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> bytes:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        url = path if "://" in path else self._url + path
        try:
            async with (
                httpx.AsyncClient(
                    timeout=TIMEOUT, trust_env=False, verify=_certificates()
                ) as client,
                client.stream(
                    method, url, params=params, json=json, headers=headers
                ) as answer,
            ):
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LARGEST:
                        raise StoreRefusedError("it answers with more than is read")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as failed:
            # Its text may hold the key; its kind says enough.
            raise StoreAwayError(type(failed).__name__) from None
        _check(answer.status_code, keyed=key is not None)
        return bytes(body)


@functools.cache
def _certificates() -> Any:
    return httpx.create_ssl_context()


def _check(status: int, *, keyed: bool) -> None:
    if status == UNKNOWN and keyed:
        raise StoreKeyRefusedError
    if status in ABSENT or status == UNKNOWN:
        raise NotInStoreError
    if not httpx.codes.is_success(status):
        raise StoreRefusedError(f"it answers with {status}")


def _read[T](answer: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer, type=kind)
    except (msgspec.DecodeError, RecursionError):
        raise StoreRefusedError("it does not answer like a component store") from None


def _json(value: Json) -> str:
    return msgspec.json.encode(value).decode()


def _conditions(wanted: Wanted) -> list[dict[str, Json]]:
    """Return what must be true of what is found, in Directus' words."""
    found: list[dict[str, Json]] = []
    if wanted.component_id is not None:
        found.append({"id": {"_eq": str(wanted.component_id)}})
    if wanted.search:
        has = {"_icontains": wanted.search}
        found.append({"_or": [{"name": has}, {"description": has}]})
    if wanted.private is not None:
        found.append({"private": {"_eq": wanted.private}})
    if wanted.is_component is not None:
        found.append({"is_component": {"_eq": wanted.is_component}})
    if wanted.tags:
        named = {"name": {"_in": list(wanted.tags)}}
        found.append({"tags": {"tags_id": named}})
    if wanted.liked:
        found.append({"liked_by": {"directus_users_id": {"_eq": ME}}})
    if wanted.mine:
        found.append({"user_created": {"_eq": ME}})
    return found


def _offer(item: _Item, liked: set[UUID], *, known: bool) -> Offer:
    return Offer(
        id=item.id,
        name=item.name,
        description=item.description,
        liked_by_count=item.liked_by_count,
        liked_by_user=item.id in liked if known else None,
        is_component=item.is_component,
        metadata=item.metadata or {},
        user_created=item.user_created or {},
        tags=[one.tags_id for one in item.tags or () if one.tags_id is not None],
        downloads_count=item.downloads_count,
        last_tested_version=item.last_tested_version,
        private=item.private,
    )
