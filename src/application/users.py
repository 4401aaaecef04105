"""People: how they join, what may change about them, and how they leave."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Protocol
from uuid import UUID, uuid4

import msgspec
from msgspec import UNSET, Meta, UnsetType

from application.commands import Done, answer_of, deciding_again, ids_in, together
from application.environment import Environment
from application.flows import Drafts, Flows, NewFlow
from application.names import Password
from application.permissions import (
    NotFoundError,
    PrivilegeError,
    only_superusers,
)
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    ConcurrencyError,
    EventStore,
    Owned,
    StreamNotFoundError,
    Vault,
)
from application.projects import FIRST_PROJECT, project_claim
from application.superusers import Superusers
from domain.kernel import DomainError
from domain.project.project import Project
from domain.user.user import User

FIRST_SUPERUSER: Final = Claim("installation", "first-superuser", UUID(int=0))
LONGEST_NAME: Final = 255

Image = Annotated[str, Meta(max_length=2_048, pattern=r"^[^\x00-\x1f\x7f]*$")]
Optins = Annotated[
    dict[Annotated[str, Meta(max_length=100)], bool], Meta(max_length=50)
]
"""What somebody has seen or agreed to, by name."""


class UsernameTakenError(DomainError):
    """This username is unavailable."""


class UsernameRefusedError(DomainError):
    """A username has 1 to 255 printable characters."""


class PasswordRefusedError(DomainError):
    """A password cannot be empty."""


class SamePasswordError(DomainError):
    """You can't use your current password."""


class ForeignPasswordError(DomainError):
    """You can't change another user's password."""


class PasswordNotHereError(DomainError):
    """You can't change your password here."""


class NothingChangedError(DomainError):
    """Nothing to update."""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What may change about a user; absent and null fields stay as they are."""

    username: str | UnsetType | None = UNSET
    profile_image: Image | UnsetType | None = UNSET
    password: Password | UnsetType | None = UNSET
    is_active: bool | UnsetType | None = UNSET
    is_superuser: bool | UnsetType | None = UNSET
    optins: Optins | UnsetType | None = UNSET


class Hashing(Protocol):
    """One-way password hashes that are slow on purpose."""

    async def hash(self, password: str) -> str: ...

    async def verify(self, password: str, hashed: str) -> bool: ...


class OpenSessions(Protocol):
    """The sessions in which people are signed in."""

    async def revoke_all(self, user: UUID) -> None: ...


class Passwords:
    """
    Password hashes in the vault, one a user.

    A claim of kind ``password`` names the vault entry, so it moves with the save
    that changes the password.
    """

    def __init__(self, claims: Claims, vault: Vault, hashing: Hashing) -> None:
        self._claims = claims
        self._vault = vault
        self._hashing = hashing

    async def matches(self, user: UUID | None, password: str) -> bool:
        """Tell whether *password* is that of *user*, in a time that tells nothing."""
        entry = await self._claims.holder("password", str(user)) if user else None
        hashed = (await self._vault.open([entry])).get(entry) if entry else None
        return await self._hashing.verify(password, hashed or "") and bool(hashed)

    async def change(self, user: UUID, password: str) -> Attached:
        """Return what a save must take along to give *user* this password."""
        if not password:
            raise PasswordRefusedError
        old = await self._claims.holder("password", str(user))
        hashed = await self._hashing.hash(password)
        sealed = await self._vault.seal(user, "password", hashed)
        return Attached(
            claims=(Claim("password", str(user), sealed.id),),
            released=(Claim("password", str(user), old),) if old else (),
            secrets=(sealed,),
            destroyed=(old,) if old else (),
        )


class Users:
    """Load a user, let them decide, store what they decided."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        passwords: Passwords,
        sessions: OpenSessions,
        flows: Flows,
        starters: Sequence[NewFlow],
        environment: Environment,
        superusers: Superusers,
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self._store = store
        self._claims = claims
        self._passwords = passwords
        self._sessions = sessions
        self._flows = flows
        self._starters = starters
        self._environment = environment
        self._superusers = superusers
        self._new_id = new_id

    async def register(
        self,
        username: str,
        password: str,
        *,
        active: bool,
        cause: Cause,
        superuser: bool = False,
        first: bool = False,
        optins: Optins | None = None,
    ) -> Done[User]:
        """Let somebody join, with a first project and the starter flows in it."""
        checked(username)
        user = User.register(
            self._new_id(),
            username=username,
            active=active,
            superuser=superuser,
            optins=optins,
        )
        project = Project.open(self._new_id(), owner=user.id, name=FIRST_PROJECT)
        drafts = await self._drafts(user, project)
        attached = together(
            _joined(user, project, first=first),
            await self._passwords.change(user.id, password),
            await self._environment.given(user),
            drafts.attached,
        )
        return await self._save_joined(user, project, drafts, attached, cause=cause)

    async def _save_joined(
        self,
        user: User,
        project: Project,
        drafts: Drafts,
        attached: Attached,
        *,
        cause: Cause,
    ) -> Done[User]:
        try:
            saved = await self._store.save(
                user,
                project,
                *drafts.flows,
                cause=cause,
                attached=attached,
                answer=answer_of(user.id),
            )
        except ClaimTakenError as taken:
            raise UsernameTakenError from taken
        if saved.repeated:
            return Done(await self.get(ids_in(saved.answer)[0]), saved.position)
        await self._flows.draw(drafts)
        return Done(user, saved.position)

    async def _drafts(self, user: User, project: Project) -> Drafts:
        homes = [project.id] * len(self._starters)
        return await self._flows.drafts(self._starters, owner=user.id, projects=homes)

    async def first_superuser(self) -> UUID | None:
        """Return the user made at the first start, if that has happened."""
        return await self._claims.holder(FIRST_SUPERUSER.kind, FIRST_SUPERUSER.key)

    async def get(self, user_id: UUID) -> User:
        """Return a user as the log has them now."""
        try:
            user = await self._store.load(User, user_id)
        except StreamNotFoundError as missing:
            raise NotFoundError("user", user_id) from missing
        if user.erased:
            raise NotFoundError("user", user_id)
        return user

    async def change(
        self, actor: Actor, user_id: UUID, profile: Profile, *, cause: Cause
    ) -> Done[User]:
        """Change what may change; superusers may also open and close accounts."""
        if actor.user != user_id:
            only_superusers(actor)
        if not actor.superuser and profile.is_superuser not in {None, UNSET}:
            raise PrivilegeError
        if not actor.superuser and profile.password not in {None, UNSET}:
            raise PasswordNotHereError
        return await deciding_again(
            lambda: self._change(actor, user_id, profile, cause=cause)
        )

    async def _change(
        self, actor: Actor, user_id: UUID, profile: Profile, *, cause: Cause
    ) -> Done[User]:
        user = await self.get(user_id)
        before, looked_after = user.username, user.active and user.superuser
        _decide(user, profile, actor=actor)
        attached = Attached()
        if looked_after and not (user.active and user.superuser):
            attached = await self._superusers.leaving(user.id)
        if isinstance(profile.password, str):
            user.change_password()
            new = await self._passwords.change(user.id, profile.password)
            attached = together(attached, new)
        if user.username != before:
            attached = together(attached, _renamed(user, before))
        if not user.recorded:
            raise NothingChangedError
        try:
            saved = await self._store.save(user, cause=cause, attached=attached)
        except ClaimTakenError as taken:
            if taken.claim.kind != "username":  # somebody else has left meanwhile
                raise ConcurrencyError from taken
            raise UsernameTakenError from taken
        if not user.active or isinstance(profile.password, str):
            await self._sessions.revoke_all(user.id)
        return Done(user, saved.position)

    async def reset_password(
        self, actor: Actor, user_id: UUID, password: str, *, cause: Cause
    ) -> Done[User]:
        """Give oneself another password, which signs one out everywhere else."""
        if actor.user != user_id:
            raise ForeignPasswordError
        user = await self.get(user_id)
        if await self._passwords.matches(user_id, password):
            raise SamePasswordError
        user.change_password()
        saved = await self._store.save(
            user, cause=cause, attached=await self._passwords.change(user_id, password)
        )
        await self._sessions.revoke_all(user_id)
        return Done(user, saved.position)


def checked(username: str) -> None:
    """Refuse a name that people could not read and type."""
    if not 0 < len(username) <= LONGEST_NAME or not username.isprintable():
        raise UsernameRefusedError


def _joined(user: User, project: Project, *, first: bool) -> Attached:
    claims = [
        Claim("username", user.username, user.id),
        project_claim(user.id, project.name, project.id),
    ]
    if first:
        claims.append(Claim(FIRST_SUPERUSER.kind, FIRST_SUPERUSER.key, user.id))
    return Attached(
        claims=claims,
        owned=(
            Owned(user.id, "user", user.id),
            Owned(project.id, "project", user.id),
        ),
    )


def _renamed(user: User, before: str) -> Attached:
    return Attached(
        claims=(Claim("username", user.username, user.id),),
        released=(Claim("username", before, user.id),),
    )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: v for name, v in values.items() if v is not None and v is not UNSET}


def _decide(user: User, profile: Profile, *, actor: Actor) -> None:
    given = _given(msgspec.structs.asdict(profile))
    if "username" in given:
        checked(given["username"])
    user.change_profile(
        **{
            name: given[name]
            for name in ("username", "profile_image", "optins")
            if name in given
        }
    )
    if given.get("is_active", user.active) != user.active:
        if not actor.superuser:
            raise PrivilegeError
        user.activate() if given["is_active"] else user.deactivate()
    if given.get("is_superuser", user.superuser) != user.superuser:
        if given["is_superuser"]:
            user.grant_superuser()
        else:
            user.revoke_superuser()
