"""API keys of the user who asks."""

from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, RequestBody

from api.given import Given
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers
from api.security import ADMIN, READ
from api.v1.users import naive
from application.api_keys import ApiKeys, KeyChange, KeyUse, KeyUses, NewKey
from application.permissions import NotFoundError, person
from application.ports import Actor, Cause
from projections.api_keys.views import ApiKeyRow, ApiKeyViews

STARS = 38  # a key has 46 characters, of which the first eight are shown


class KeyRead(msgspec.Struct, frozen=True, kw_only=True):
    """A key as its user sees it: by its first characters."""

    name: str
    last_used_at: str | None
    total_uses: int
    is_active: bool
    id: UUID
    api_key: str
    user_id: UUID
    created_at: str
    scopes: list[str] | None
    expires_at: str | None


class KeysRead(msgspec.Struct, frozen=True, kw_only=True):
    """All keys of a user."""

    total_count: int
    user_id: UUID
    api_keys: list[KeyRead]


class IssuedRead(msgspec.Struct, frozen=True, kw_only=True):
    """A new key in clear, this once."""

    name: str | None
    last_used_at: str | None = None
    total_uses: int = 0
    is_active: bool = True
    id: UUID
    api_key: str
    user_id: UUID
    scopes: tuple[str, ...] | None
    expires_at: str | None


class Detail(msgspec.Struct, frozen=True):
    """What was done, in words."""

    detail: str


class ApiKeyController(Controller):
    """Commands go to `ApiKeys`, questions to the view."""

    path = "/api_key"
    tags = ("API keys",)
    opt = ADMIN

    @get("/", opt=READ)
    async def many(
        self,
        *,
        actor: Given[Actor],
        api_key_views: Given[ApiKeyViews],
        key_uses: Given[KeyUses],
        part: Given[Part],
    ) -> KeysRead:
        """List one's keys, without the keys themselves."""
        owner = person(actor)
        found = await api_key_views.of(owner, limit=part.limit, offset=part.offset)
        rows = part.told(found)
        uses = await key_uses.totals([row.id for row in rows])
        return KeysRead(
            total_count=rows.total,
            user_id=owner,
            api_keys=[_listed(row, uses.get(row.id)) for row in rows],
        )

    @post("/", status_code=200)
    async def issue(
        self,
        *,
        actor: Given[Actor],
        api_keys: Given[ApiKeys],
        cause: Given[Cause],
        answers: Given[Answers],
        data: RequestBody[NewKey | None] = None,
    ) -> Response[IssuedRead]:
        """Issue a key and show it, this once."""
        done = await api_keys.issue(actor, data or NewKey(), cause=cause)
        await answers.settle(done.position)
        issued = done.result
        return Response(
            IssuedRead(
                name=data.name if data else None,
                id=issued.id,
                api_key=issued.key,
                user_id=issued.user,
                scopes=issued.scopes,
                expires_at=naive(issued.expires_at) if issued.expires_at else None,
            ),
            headers={"Cache-Control": "no-store"},
        )

    @patch("/{key_id:str}")
    async def change(
        self,
        *,
        key_id: FromPath[UUID],
        data: RequestBody[KeyChange],
        actor: Given[Actor],
        api_keys: Given[ApiKeys],
        api_key_views: Given[ApiKeyViews],
        key_uses: Given[KeyUses],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> KeyRead:
        """Rename a key, or let it rest: ``is_active`` false opens nothing."""
        done = await api_keys.change(actor, key_id, data, cause=cause)
        await answers.settle(done.position)
        row = await api_key_views.get(key_id)
        if row is None:
            raise NotFoundError("api_key", key_id)
        uses = await key_uses.totals([key_id])
        return _listed(row, uses.get(key_id))

    @delete("/{key_id:str}", status_code=200)
    async def revoke(
        self,
        *,
        key_id: FromPath[UUID],
        actor: Given[Actor],
        api_keys: Given[ApiKeys],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Detail:
        """Revoke a key: it lets in nobody any more, and streams that it opened end."""
        try:
            done = await api_keys.revoke(actor, key_id, cause=cause)
        except NotFoundError:  # clients know it as 400
            raise Refusal(400, "API Key not found") from None
        await answers.settle(done.position)
        return Detail("API Key deleted")


def _listed(row: ApiKeyRow, use: KeyUse | None) -> KeyRead:
    return KeyRead(
        name=row.name,
        last_used_at=naive(use.last_at) if use and use.last_at else None,
        total_uses=use.total if use else 0,
        is_active=row.is_active,
        id=row.id,
        api_key=row.hint + "*" * STARS,
        user_id=row.user_id,
        created_at=naive(row.created_at),
        scopes=row.scopes,
        expires_at=naive(row.expires_at) if row.expires_at else None,
    )
