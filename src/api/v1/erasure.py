"""Erasing people, for superusers: all that is theirs goes, and what went is told."""

from typing import Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.params import FromPath

from api.given import Given
from api.requests import Answers
from api.security import ADMIN, superuser
from application.erasure import Erasure
from application.ports import Actor, Cause


class ErasedRead(msgspec.Struct, frozen=True, kw_only=True):
    """
    What an erasure came to.

    ``destroyed`` counts what is no more, by kind; ``again`` tells that this person had
    been erased before.
    """

    user: UUID
    again: bool
    destroyed: dict[str, int]


_ERASED: Final[dict[str, Any]] = {
    "user": "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a",
    "again": False,
    "destroyed": {"blobs": 2, "claims": 9, "contents": 31, "secrets": 3},
}


class ErasureController(Controller):
    """Superusers erase others with it, never themselves."""

    path = "/admin/users"
    tags = ("Users",)
    guards = (superuser,)
    opt = ADMIN

    @post(
        "/{user_id:str}/erase",
        status_code=200,
        responses={
            200: ResponseSpec(
                ErasedRead, description="Erased", examples=[Example(value=_ERASED)]
            )
        },
    )
    async def erase(
        self,
        *,
        user_id: FromPath[UUID],
        actor: Given[Actor],
        erasure: Given[Erasure],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> ErasedRead:
        """Erase a person; asked again, it finishes what was not."""
        done = await erasure.erase(actor, user_id, cause=cause)
        await answers.settle(done.position)
        erased = done.result
        return ErasedRead(
            user=erased.user, again=erased.again, destroyed=dict(erased.destroyed)
        )
