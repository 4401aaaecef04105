"""The component store, where the operator has one."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Response, get, patch, post
from litestar.params import FromPath, FromQuery, RequestBody
from msgspec import Meta

from api.given import Given
from api.problems import Refusal
from api.requests import Answers
from api.security import PUBLIC, CookieRules
from application.names import Name
from application.ports import Actor, Cause
from application.ports.marketplace import (
    Goods,
    Likes,
    Offer,
    Shared,
    StoreTag,
    Wanted,
)
from application.shopping import KeyState, Shopping

MOST: Final = 100
SORTS: Final = re.compile(
    r"-?(name|date_created|date_updated|count\((liked_by|downloads)\))"
)

type Words = Annotated[list[Name], Meta(max_length=50)]


class StoreKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the component store; an empty one takes away what is kept."""

    api_key: Annotated[
        str, Meta(max_length=4_096, pattern=r"^[!-~]*$(?!\n)", examples=["a-key"])
    ]


class StoreComponentCreate(msgspec.Struct, frozen=True, kw_only=True):
    """Something to share; its literal secrets stay here."""

    name: Name
    description: str | None = None
    data: dict[str, Any]
    tags: Words | None = None
    parent: UUID | None = None
    is_component: bool | None = None
    last_tested_version: Name | None = None
    private: bool | None = True

    def shared(self) -> Shared:
        """Return what the store is given."""
        return Shared(
            name=self.name,
            description=self.description,
            data=self.data,
            tags=tuple(self.tags or ()),
            is_component=bool(self.is_component),
            private=self.private is not False,
            parent=self.parent,
            last_tested_version=self.last_tested_version,
        )


class CreateComponentResponse(msgspec.Struct, frozen=True):
    """What the store knows it by."""

    id: UUID


class ListComponentResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what there is; ``authorized`` says whether the store knew who asks."""

    count: int | None = 0
    authorized: bool
    results: list[Offer] | None


class Enabled(msgspec.Struct, frozen=True):
    """Whether there is a store."""

    enabled: bool


class StoreController(Controller):
    """Everything is `Shopping`."""

    path = "/store"
    tags = ("Store",)

    @get("/check", opt=PUBLIC)
    async def check(self, *, shopping: Given[Shopping]) -> Enabled:
        """Say whether there is a store."""
        return Enabled(shopping.enabled)

    @get("/check/api_key")
    async def check_key(
        self, *, actor: Given[Actor], shopping: Given[Shopping]
    ) -> KeyState:
        """Say whether one has a key of the store, and whether it is good."""
        return await shopping.key_state(actor)

    @get("/tags", opt=PUBLIC)
    async def tags_of_components(self, *, shopping: Given[Shopping]) -> list[StoreTag]:
        """List the store's tags."""
        return await shopping.tags()

    @get("/components")
    async def components(
        self,
        *,
        actor: Given[Actor],
        shopping: Given[Shopping],
        component_id: FromQuery[UUID | None] = None,
        search: FromQuery[Name | None] = None,
        private: FromQuery[bool | None] = None,
        is_component: FromQuery[bool | None] = None,
        tags: FromQuery[list[str] | None] = None,
        sort: FromQuery[list[str] | None] = None,
        liked: FromQuery[bool] = False,
        filter_by_user: FromQuery[bool] = False,
        page: FromQuery[int] = 1,
        limit: FromQuery[int] = 10,
    ) -> ListComponentResponse:
        """Look for things in the store."""
        if page < 1 or not 1 <= limit <= MOST:
            raise Refusal(422, f"page is 1 or more, limit from 1 to {MOST}")
        wanted = Wanted(
            component_id=component_id,
            search=search or "",
            private=private,
            is_component=is_component,
            tags=_split(tags),
            sort=_sorts(sort),
            liked=liked,
            mine=filter_by_user,
            page=page,
            limit=limit,
        )
        found, authorized = await shopping.find(actor, wanted)
        return ListComponentResponse(
            count=found.count, authorized=authorized, results=found.offers
        )

    @get("/components/{component_id:str}")
    async def component(
        self,
        *,
        component_id: FromPath[UUID],
        actor: Given[Actor],
        shopping: Given[Shopping],
    ) -> Goods:
        """Take something from the store."""
        return await shopping.get(actor, component_id)

    @post("/components", status_code=201)
    async def share(
        self,
        *,
        data: RequestBody[StoreComponentCreate],
        actor: Given[Actor],
        shopping: Given[Shopping],
    ) -> CreateComponentResponse:
        """Share something in the store."""
        return CreateComponentResponse(await shopping.share(actor, data.shared()))

    @patch("/components/{component_id:str}", status_code=201)
    async def share_anew(
        self,
        *,
        component_id: FromPath[UUID],
        data: RequestBody[StoreComponentCreate],
        actor: Given[Actor],
        shopping: Given[Shopping],
    ) -> CreateComponentResponse:
        """Share something in place of what one has shared."""
        shared = await shopping.share(actor, data.shared(), component=component_id)
        return CreateComponentResponse(shared)

    @get("/users/likes", opt={"refuses": (404,)})
    async def likes(
        self, *, actor: Given[Actor], shopping: Given[Shopping]
    ) -> list[Likes]:
        """List the likes of what one likes."""
        return await shopping.likes(actor)

    @post("/users/likes/{component_id:str}", status_code=200)
    async def like(
        self,
        *,
        component_id: FromPath[UUID],
        actor: Given[Actor],
        shopping: Given[Shopping],
    ) -> Likes:
        """Like something, or no longer."""
        return await shopping.like(actor, component_id)


class StoreKeyController(Controller):
    """One's key of the store: kept sealed, and never shown again."""

    path = "/api_key"
    tags = ("Store",)

    @post("/store", status_code=200)
    async def save(
        self,
        *,
        data: RequestBody[StoreKey],
        actor: Given[Actor],
        shopping: Given[Shopping],
        cookie_rules: Given[CookieRules],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Response[dict[str, str]]:
        """Keep one's key of the component store."""
        done = await shopping.save_key(actor, data.api_key, cause=cause)
        await answers.settle(done.position)
        return Response(
            {"detail": "API Key saved"},
            cookies=[cookie_rules.store_key(kept=bool(data.api_key))],
        )


def _split(words: Sequence[str] | None) -> tuple[str, ...]:
    """Return words that may stand in one parameter, with commas between."""
    found = [part.strip() for word in words or () for part in word.split(",")]
    if len(found) > MOST:
        raise Refusal(422, f"at most {MOST} at once")
    return tuple(part for part in found if part)


def _sorts(words: Sequence[str] | None) -> tuple[str, ...]:
    found = _split(words)
    if not all(map(SORTS.fullmatch, found)):
        raise Refusal(
            422,
            "sort is by name, date_created, date_updated or a count of likes or "
            "downloads, like -count(liked_by)",
        )
    return found
