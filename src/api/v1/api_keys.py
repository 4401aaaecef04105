"""API keys of the user who asks."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.params import FromPath, RequestBody

from api.given import Given
from api.problems import Refusal
from api.requests import Answers
from api.v1.users import naive
from application.api_keys import ApiKeys, KeyUse, KeyUses
from application.names import Name
from application.permissions import NotFoundError, person
from application.ports import Actor, Cause
from projections.api_keys.views import ApiKeyRow, ApiKeyViews

STARS = 38  # a key has 46 characters, of which the first eight are shown


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """The name of a key to be."""

    name: Name | None = None


class ApiKeyController(Controller):
    """Commands go to `ApiKeys`, questions to the view."""

    path = "/api_key"
    tags = ("API keys",)

    @get("/")
    async def many(
        self,
        *,
        actor: Given[Actor],
        api_key_views: Given[ApiKeyViews],
        key_uses: Given[KeyUses],
    ) -> dict[str, Any]:
        """List one's keys, without the keys themselves."""
        owner = person(actor)
        rows = await api_key_views.of(owner)
        uses = await key_uses.totals([row.id for row in rows])
        return {
            "total_count": len(rows),
            "user_id": owner,
            "api_keys": [_listed(row, uses.get(row.id)) for row in rows],
        }

    @post("/", status_code=200)
    async def issue(
        self,
        *,
        data: RequestBody[NewKey],
        actor: Given[Actor],
        api_keys: Given[ApiKeys],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Response[dict[str, Any]]:
        """Issue a key and show it, this once."""
        done = await api_keys.issue(actor, data.name or "", cause=cause)
        await answers.settle(done.position)
        return Response(
            {
                "name": data.name,
                "last_used_at": None,
                "total_uses": 0,
                "is_active": True,
                "id": done.result.id,
                "api_key": done.result.key,
                "user_id": done.result.user,
            },
            headers={"Cache-Control": "no-store"},
        )

    @delete("/{key_id:str}", status_code=200)
    async def revoke(
        self,
        *,
        key_id: FromPath[UUID],
        actor: Given[Actor],
        api_keys: Given[ApiKeys],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, str]:
        """Revoke a key."""
        try:
            done = await api_keys.revoke(actor, key_id, cause=cause)
        except NotFoundError:  # clients know it as 400
            raise Refusal(400, "API Key not found") from None
        await answers.settle(done.position)
        return {"detail": "API Key deleted"}


def _listed(row: ApiKeyRow, use: KeyUse | None) -> dict[str, Any]:
    return {
        "name": row.name,
        "last_used_at": naive(use.last_at) if use and use.last_at else None,
        "total_uses": use.total if use else 0,
        "is_active": True,
        "id": row.id,
        "api_key": row.hint + "*" * STARS,
        "user_id": row.user_id,
        "created_at": naive(row.created_at),
    }
