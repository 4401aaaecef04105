"""What can have happened to a user, their keys and their variables."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from domain.kernel import Event

type VariableKind = Literal["Generic", "Credential"]
type Scope = Literal["read", "write", "run", "admin"]


class UserRegistered(Event, frozen=True, kw_only=True, tag="user.registered"):
    username: str
    active: bool
    superuser: bool = False


class UserActivated(Event, frozen=True, kw_only=True, tag="user.activated"):
    pass


class UserDeactivated(Event, frozen=True, kw_only=True, tag="user.deactivated"):
    pass


class PasswordChanged(Event, frozen=True, kw_only=True, tag="user.password_changed"):
    """The new hash lies in the vault, never here."""


class ProfileChanged(Event, frozen=True, kw_only=True, tag="user.profile_changed"):
    username: str | msgspec.UnsetType = msgspec.UNSET
    profile_image: str | msgspec.UnsetType | None = msgspec.UNSET
    optins: dict[str, bool] | msgspec.UnsetType | None = msgspec.UNSET


class SuperuserGranted(Event, frozen=True, kw_only=True, tag="user.superuser_granted"):
    pass


class SuperuserRevoked(Event, frozen=True, kw_only=True, tag="user.superuser_revoked"):
    pass


class SignedIn(Event, frozen=True, kw_only=True, tag="user.signed_in"):
    means: Literal["password", "link", "auto_login"]


class SignedOut(Event, frozen=True, kw_only=True, tag="user.signed_out"):
    """A session has ended: on request, or as its refresh token came twice."""

    session: UUID
    why: Literal["asked", "token_reused"] = "asked"


class SignInLocked(Event, frozen=True, kw_only=True, tag="user.sign_in_locked"):
    until: datetime


class ApiKeyIssued(Event, frozen=True, kw_only=True, tag="user.api_key_issued"):
    """
    ``hint`` is the first eight characters; the key is kept only as a hash.

    Without ``scopes`` it lets in to all that its user may do.
    """

    key: UUID
    name: str
    hint: str
    scopes: tuple[Scope, ...] | None = None
    expires_at: datetime | None = None


class ApiKeyRenamed(Event, frozen=True, kw_only=True, tag="user.api_key_renamed"):
    key: UUID
    name: str


class ApiKeyDisabled(Event, frozen=True, kw_only=True, tag="user.api_key_disabled"):
    key: UUID


class ApiKeyEnabled(Event, frozen=True, kw_only=True, tag="user.api_key_enabled"):
    key: UUID


class ApiKeyRevoked(Event, frozen=True, kw_only=True, tag="user.api_key_revoked"):
    key: UUID


class VariableDefined(Event, frozen=True, kw_only=True, tag="user.variable_defined"):
    """
    The value of either kind lies in the vault under ``secret``.

    ``imported`` tells that it came from the server's environment, not from a person.
    """

    variable: UUID
    name: str
    kind: VariableKind
    secret: UUID
    default_fields: tuple[str, ...] = ()
    imported: bool = False


class VariableChanged(Event, frozen=True, kw_only=True, tag="user.variable_changed"):
    variable: UUID
    name: str | msgspec.UnsetType = msgspec.UNSET
    secret: UUID | msgspec.UnsetType = msgspec.UNSET
    default_fields: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    imported: bool = False


class VariableRemoved(Event, frozen=True, kw_only=True, tag="user.variable_removed"):
    variable: UUID


class StoreKeySaved(Event, frozen=True, kw_only=True, tag="user.store_key_saved"):
    """A key of the component store lies in the vault under ``secret``."""

    secret: UUID


class StoreKeyRemoved(Event, frozen=True, kw_only=True, tag="user.store_key_removed"):
    pass


class UserErased(Event, frozen=True, kw_only=True, tag="user.erased"):
    impersonal: ClassVar[bool] = True


type UserEvent = (
    UserRegistered
    | UserActivated
    | UserDeactivated
    | PasswordChanged
    | ProfileChanged
    | SuperuserGranted
    | SuperuserRevoked
    | SignedIn
    | SignedOut
    | SignInLocked
    | ApiKeyIssued
    | ApiKeyRenamed
    | ApiKeyDisabled
    | ApiKeyEnabled
    | ApiKeyRevoked
    | VariableDefined
    | VariableChanged
    | VariableRemoved
    | StoreKeySaved
    | StoreKeyRemoved
    | UserErased
)
