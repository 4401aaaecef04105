"""Users: sign-up, oneself, and what superusers do with others."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from litestar import Controller, Response, delete, get, patch, post
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, FromQuery, RequestBody

from api.given import Given
from api.problems import Refusal
from api.requests import Answers
from api.security import ADMIN, ANY, SIGN_IN, superuser
from application.erasure import Erasure
from application.names import Password
from application.permissions import NotFoundError, PrivilegeError
from application.ports import Actor, Cause
from application.users import NothingChangedError, Optins, Profile, Users
from domain.flow.secrets import PLACEHOLDER
from domain.user.user import User
from projections.users.views import UserRow, UserViews

LARGEST = 1_000
"""Users in one answer."""
OPTINS = {"github_starred": False, "dialog_dismissed": False, "discord_clicked": False}


class SignUp(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who wants to join."""

    username: str
    password: Password
    optins: Optins | None = None


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """The password that is to be."""

    password: Password | None = None


class UserRead(msgspec.Struct, frozen=True, kw_only=True):
    """A user as clients see them."""

    id: UUID
    username: str
    profile_image: str | None
    store_api_key: str | None = None
    is_active: bool
    is_superuser: bool
    create_at: str
    updated_at: str
    last_login_at: str | None
    optins: dict[str, bool]


class UsersRead(msgspec.Struct, frozen=True, kw_only=True):
    """Some users, and how many there are."""

    total_count: int
    users: list[UserRead]


UNCHANGED = {304: ResponseSpec(None, description="Nothing changed")}


class UserController(Controller):
    """Commands go to `Users`, questions to the view."""

    path = "/users"
    tags = ("Users",)

    @get("/whoami", opt=ANY)
    async def whoami(
        self, *, actor: Given[Actor], user_views: Given[UserViews]
    ) -> UserRead:
        """Say who asks."""
        row = await user_views.get(actor.user) if actor.user else None
        if row is None:
            raise Refusal(404, "User not found")
        return read(row)

    @get("/", guards=[superuser], opt=ADMIN)
    async def many(
        self,
        *,
        user_views: Given[UserViews],
        skip: FromQuery[int] = 0,
        limit: FromQuery[int] = 10,
        search: FromQuery[str] = "",
    ) -> UsersRead:
        """List users whose name contains ``search``, oldest first, for superusers."""
        rows, total = await user_views.page(
            skip=max(skip, 0), limit=min(max(limit, 0), LARGEST), search=search
        )
        return UsersRead(total_count=total, users=[read(row) for row in rows])

    @get("/{user_id:str}")
    async def one(
        self,
        *,
        user_id: FromPath[UUID],
        actor: Given[Actor],
        user_views: Given[UserViews],
    ) -> UserRead:
        """Show oneself, or to a superuser anybody."""
        shown = actor.superuser or actor.user == user_id
        row = await user_views.get(user_id) if shown else None
        if row is None:
            raise NotFoundError("user", user_id)
        return read(row)

    @post("/", status_code=201, opt=SIGN_IN)
    async def sign_up(
        self,
        *,
        data: RequestBody[SignUp],
        users: Given[Users],
        user_views: Given[UserViews],
        new_user_is_active: Given[bool],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> UserRead:
        """Join; a superuser may have to agree before one can sign in."""
        done = await users.register(
            data.username,
            data.password,
            active=new_user_is_active,
            optins=data.optins,
            cause=cause,
        )
        await answers.settle(done.position)
        return read(await user_views.get(done.result.id) or as_row(done.result))

    @patch("/{user_id:str}", responses=UNCHANGED, opt=ADMIN)
    async def change(
        self,
        *,
        user_id: FromPath[UUID],
        data: RequestBody[Profile],
        actor: Given[Actor],
        users: Given[Users],
        user_views: Given[UserViews],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Response[UserRead | None]:
        """Change a profile; superusers may change more, and others'."""
        try:
            done = await users.change(actor, user_id, data, cause=cause)
        except PrivilegeError:
            raise Refusal(403, "Permission denied") from None
        except NothingChangedError:
            return Response(None, status_code=304)
        await answers.settle(done.position)
        row = await user_views.get(user_id)
        return Response(read(row or as_row(done.result)))

    @patch("/{user_id:str}/reset-password", opt=ADMIN | {"rate": "sign_in"})
    async def reset_password(
        self,
        *,
        user_id: FromPath[UUID],
        data: RequestBody[NewPassword],
        actor: Given[Actor],
        users: Given[Users],
        user_views: Given[UserViews],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> UserRead:
        """Give oneself another password."""
        done = await users.reset_password(
            actor, user_id, data.password or "", cause=cause
        )
        await answers.settle(done.position)
        return read(await user_views.get(user_id) or as_row(done.result))

    @delete("/{user_id:str}", status_code=200, opt=ADMIN)
    async def remove(
        self,
        *,
        user_id: FromPath[UUID],
        actor: Given[Actor],
        erasure: Given[Erasure],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, str]:
        """Erase a person with all that is theirs, for superusers."""
        done = await erasure.erase(actor, user_id, cause=cause)
        await answers.settle(done.position)
        if done.result.again:  # there was nobody; what was left over is gone now
            raise NotFoundError("user", user_id)
        return {"detail": "User deleted"}


def read(row: UserRow) -> UserRead:
    """Return a user in the shape that clients read."""
    return UserRead(
        id=row.id,
        username=row.username,
        profile_image=row.profile_image,
        store_api_key=PLACEHOLDER if row.has_store_key else None,
        is_active=row.is_active,
        is_superuser=row.is_superuser,
        create_at=naive(row.created_at),
        updated_at=naive(row.updated_at),
        last_login_at=naive(row.last_login_at) if row.last_login_at else None,
        optins=OPTINS | (row.optins or {}),
    )


def naive(at: datetime) -> str:
    """Return a time as most routes write it: UTC without saying so."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def as_row(user: User) -> UserRow:
    """Return what the view will say of *user* once it has caught up."""
    now = datetime.now(UTC)
    return UserRow(
        id=user.id,
        username=user.username,
        profile_image=user.profile_image,
        is_active=user.active,
        is_superuser=user.superuser,
        created_at=now,
        updated_at=now,
        last_login_at=None,
        has_store_key=user.store_key is not None,
        optins=user.optins,
    )
