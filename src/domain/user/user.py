"""The user aggregate: a person, the keys they gave out and the values they named."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, Self, assert_never, override
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from domain.kernel import Aggregate, DomainError
from domain.user import api_key, variable
from domain.user.api_key import ApiKey
from domain.user.events import (
    ApiKeyDisabled,
    ApiKeyEnabled,
    ApiKeyIssued,
    ApiKeyRenamed,
    ApiKeyRevoked,
    PasswordChanged,
    ProfileChanged,
    Scope,
    SignedIn,
    SignedOut,
    SignInLocked,
    StoreKeyRemoved,
    StoreKeySaved,
    SuperuserGranted,
    SuperuserRevoked,
    UserActivated,
    UserDeactivated,
    UserErased,
    UserEvent,
    UserRegistered,
    VariableChanged,
    VariableDefined,
    VariableKind,
    VariableRemoved,
)
from domain.user.variable import Variable

type Means = Literal["password", "link", "auto_login"]


class UserErasedError(DomainError):
    """This user is no more."""


class UserInactiveError(DomainError):
    """This user may not sign in."""


class NamelessUserError(DomainError):
    """A user has a name."""


class UnknownApiKeyError(DomainError):
    """The user has no such API key."""


class DuplicateApiKeyError(DomainError):
    """The user has this API key already."""


class UnknownVariableError(DomainError):
    """Variable not found."""


class VariableNameTakenError(DomainError):
    """Variable name already exists."""


class NamelessVariableError(DomainError):
    """Variable name cannot be empty."""


class User(Aggregate[UserEvent]):
    """Somebody who draws and runs flows."""

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.username = ""
        self.active = False
        self.superuser = False
        self.erased = False
        self.profile_image: str | None = None
        self.optins: dict[str, bool] | None = None
        self.last_sign_in: Means | None = None
        self.locked_until: datetime | None = None
        self.api_keys: dict[UUID, ApiKey] = {}
        self.variables: dict[UUID, Variable] = {}
        self.store_key: UUID | None = None

    @property
    @override
    def subject(self) -> UUID:
        return self.id

    @classmethod
    def register(
        cls,
        user_id: UUID,
        *,
        username: str,
        active: bool,
        superuser: bool = False,
        optins: dict[str, bool] | None = None,
    ) -> Self:
        """Let somebody in, under a name that the caller has claimed."""
        if not username:
            raise NamelessUserError
        user = cls(user_id)
        user._record(
            UserRegistered(username=username, active=active, superuser=superuser)
        )
        user.change_profile(optins=optins or UNSET)
        return user

    def sign_in(self, means: Means) -> None:
        """Note that they proved who they are."""
        self._require_present()
        if not self.active:
            raise UserInactiveError(self.username)
        self._record(SignedIn(means=means))

    def sign_out(
        self, session: UUID, *, why: Literal["asked", "token_reused"] = "asked"
    ) -> None:
        """Note that a session has ended before its time."""
        self._require_present()
        self._record(SignedOut(session=session, why=why))

    def lock_sign_in(self, *, until: datetime) -> None:
        """Refuse them for a while, after too many wrong passwords."""
        self._require_present()
        self._record(SignInLocked(until=until))

    def activate(self) -> None:
        """Let them sign in; repeating it changes nothing."""
        self._require_present()
        if not self.active:
            self._record(UserActivated())

    def deactivate(self) -> None:
        """Let them no longer sign in; repeating it changes nothing."""
        self._require_present()
        if self.active:
            self._record(UserDeactivated())

    def grant_superuser(self) -> None:
        """Let them administer; repeating it changes nothing."""
        self._require_present()
        if not self.superuser:
            self._record(SuperuserGranted())

    def revoke_superuser(self) -> None:
        """Let them no longer administer; repeating it changes nothing."""
        self._require_present()
        if self.superuser:
            self._record(SuperuserRevoked())

    def change_password(self) -> None:
        """Note that the hash in the vault is another."""
        self._require_present()
        self._record(PasswordChanged())

    def change_profile(
        self,
        *,
        username: str | UnsetType = UNSET,
        profile_image: str | UnsetType | None = UNSET,
        optins: dict[str, bool] | UnsetType | None = UNSET,
    ) -> None:
        """Change what is given and differs."""
        self._require_present()
        if username == "":
            raise NamelessUserError
        change = ProfileChanged(
            username=UNSET if username == self.username else username,
            profile_image=UNSET
            if profile_image == self.profile_image
            else profile_image,
            optins=UNSET if optins == self.optins else optins,
        )
        if change != ProfileChanged():
            self._record(change)

    def issue_api_key(
        self,
        key: UUID,
        *,
        name: str,
        hint: str,
        scopes: Iterable[Scope] | None = None,
        expires_at: datetime | None = None,
    ) -> None:
        """Give out a key, of which the caller has kept a hash."""
        self._require_present()
        if key in self.api_keys:
            raise DuplicateApiKeyError(key)
        self._record(
            ApiKeyIssued(
                key=key,
                name=name,
                hint=hint,
                scopes=None if scopes is None else tuple(sorted(set(scopes))),
                expires_at=expires_at,
            )
        )

    def change_api_key(
        self, key: UUID, *, name: str | None = None, active: bool | None = None
    ) -> None:
        """Rename a key, or let it rest for a while; what is the same stays."""
        known = self._api_key(key)
        if name is not None and name != known.name:
            self._record(ApiKeyRenamed(key=key, name=name))
        if active is not None and active != known.active:
            self._record(ApiKeyEnabled(key=key) if active else ApiKeyDisabled(key=key))

    def revoke_api_key(self, key: UUID) -> None:
        """Take a key back."""
        self._api_key(key)
        self._record(ApiKeyRevoked(key=key))

    def define_variable(
        self,
        variable: UUID,
        *,
        name: str,
        kind: VariableKind,
        secret: UUID,
        default_fields: Iterable[str] = (),
        imported: bool = False,
    ) -> None:
        """Name a value that the vault keeps under *secret*."""
        self._require_present()
        self._require_free(name, but=variable)
        self._record(
            VariableDefined(
                variable=variable,
                name=name,
                kind=kind,
                secret=secret,
                default_fields=tuple(default_fields),
                imported=imported,
            )
        )

    def change_variable(
        self,
        variable: UUID,
        *,
        name: str | None = None,
        secret: UUID | None = None,
        default_fields: Iterable[str] | None = None,
        imported: bool = False,
    ) -> None:
        """Change what is given and differs."""
        known = self._variable(variable)
        if name is not None:
            self._require_free(name, but=variable)
        fields = None if default_fields is None else tuple(default_fields)
        change = VariableChanged(
            variable=variable,
            name=UNSET if name is None or name == known.name else name,
            secret=UNSET if secret is None or secret == known.secret else secret,
            default_fields=UNSET
            if fields is None or fields == known.default_fields
            else fields,
        )
        if change != VariableChanged(variable=variable):
            self._record(msgspec.structs.replace(change, imported=imported))

    def remove_variable(self, variable: UUID) -> None:
        """Forget a variable; the caller destroys its secret."""
        self._variable(variable)
        self._record(VariableRemoved(variable=variable))

    def keep_store_key(self, secret: UUID | None) -> None:
        """Keep a key of the component store, or none; the caller destroys the old."""
        self._require_present()
        if secret is not None:
            self._record(StoreKeySaved(secret=secret))
        elif self.store_key is not None:
            self._record(StoreKeyRemoved())

    def erase(self) -> None:
        """Forget who this was; the caller destroys contents and secrets."""
        self._require_present()
        self._record(UserErased())

    def _require_present(self) -> None:
        if self.erased:
            raise UserErasedError(self.id)

    def _require_free(self, name: str, *, but: UUID) -> None:
        if not name:
            raise NamelessVariableError
        others = (known.name for key, known in self.variables.items() if key != but)
        if name in others:
            raise VariableNameTakenError

    def _api_key(self, key: UUID) -> ApiKey:
        self._require_present()
        try:
            return self.api_keys[key]
        except KeyError:
            raise UnknownApiKeyError(key) from None

    def _variable(self, variable: UUID) -> Variable:
        self._require_present()
        try:
            return self.variables[variable]
        except KeyError:
            raise UnknownVariableError(variable) from None

    @override
    def _apply(self, event: UserEvent) -> None:
        match event:
            case (
                UserRegistered()
                | ProfileChanged()
                | StoreKeySaved()
                | StoreKeyRemoved()
                | UserErased()
            ):
                self._apply_person(event)
            case UserActivated() | UserDeactivated():
                self.active = isinstance(event, UserActivated)
            case SuperuserGranted() | SuperuserRevoked():
                self.superuser = isinstance(event, SuperuserGranted)
            case PasswordChanged():
                self.locked_until = None
            case SignedIn(means=means):
                self.last_sign_in, self.locked_until = means, None
            case SignedOut():
                pass  # sessions are counted elsewhere
            case SignInLocked(until=until):
                self.locked_until = until
            case (
                ApiKeyIssued()
                | ApiKeyRenamed()
                | ApiKeyDisabled()
                | ApiKeyEnabled()
                | ApiKeyRevoked()
            ):
                api_key.apply(self.api_keys, event)
            case VariableDefined() | VariableChanged() | VariableRemoved():
                variable.apply(self.variables, event)
            case _:
                assert_never(event)

    def _apply_person(
        self,
        event: UserRegistered
        | ProfileChanged
        | StoreKeySaved
        | StoreKeyRemoved
        | UserErased,
    ) -> None:
        match event:
            case UserRegistered():
                self.username = event.username
                self.active, self.superuser = event.active, event.superuser
            case ProfileChanged(username=name, profile_image=image, optins=optins):
                self.username = self.username if name is UNSET else name
                self.profile_image = self.profile_image if image is UNSET else image
                self.optins = self.optins if optins is UNSET else optins
            case StoreKeySaved(secret=secret):
                self.store_key = secret
            case StoreKeyRemoved():
                self.store_key = None
            case UserErased():
                self.erased, self.active, self.superuser = True, False, False
                self.api_keys, self.variables, self.store_key = {}, {}, None
