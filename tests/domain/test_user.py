"""What may be decided about a user."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from domain.user.api_key import ApiKey
from domain.user.events import (
    ApiKeyDisabled,
    ApiKeyEnabled,
    ApiKeyIssued,
    ApiKeyRenamed,
    ApiKeyRevoked,
    PasswordChanged,
    ProfileChanged,
    SignedIn,
    SignInLocked,
    SuperuserGranted,
    SuperuserRevoked,
    UserActivated,
    UserDeactivated,
    UserErased,
    UserRegistered,
    VariableChanged,
    VariableDefined,
    VariableRemoved,
)
from domain.user.user import (
    DuplicateApiKeyError,
    NamelessUserError,
    NamelessVariableError,
    UnknownApiKeyError,
    UnknownVariableError,
    User,
    UserErasedError,
    UserInactiveError,
    VariableNameTakenError,
)
from domain.user.variable import Variable
from tests.specification import given

KEY, OTHER, SECRET = UUID(int=7), UUID(int=8), UUID(int=9)
REGISTERED = UserRegistered(username="ada", active=True)
ISSUED = ApiKeyIssued(key=KEY, name="mine", hint="sk-12345")
DEFINED = VariableDefined(variable=KEY, name="A", kind="Generic", secret=SECRET)
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def test_somebody_registers() -> None:
    user = User.register(UUID(int=1), username="ada", active=False, superuser=True)

    assert user.collect() == [
        UserRegistered(username="ada", active=False, superuser=True)
    ]
    assert (user.username, user.active, user.superuser) == ("ada", False, True)


def test_nobody_registers_without_a_name() -> None:
    with pytest.raises(NamelessUserError):
        User.register(UUID(int=1), username="", active=True)


def test_who_is_active_signs_in() -> None:
    given(User, REGISTERED).when(lambda u: u.sign_in("password")).then(
        SignedIn(means="password")
    )
    given(User, REGISTERED, UserDeactivated()).when(
        lambda u: u.sign_in("link")
    ).then_refuses(UserInactiveError)


def test_too_many_failures_lock_the_door_for_a_while() -> None:
    locked = SignInLocked(until=LATER)
    user = User(UUID(int=1))
    user.replay(REGISTERED, locked)

    assert user.locked_until == LATER
    given(User, REGISTERED).when(lambda u: u.lock_sign_in(until=LATER)).then(locked)


def test_signing_in_opens_the_door_again() -> None:
    user = User(UUID(int=1))
    user.replay(REGISTERED, SignInLocked(until=LATER), SignedIn(means="link"))

    assert (user.locked_until, user.last_sign_in) == (None, "link")


@pytest.mark.parametrize(
    ("before", "command", "event"),
    [
        ([UserDeactivated()], lambda u: u.activate(), UserActivated()),
        ([], lambda u: u.deactivate(), UserDeactivated()),
        ([], lambda u: u.grant_superuser(), SuperuserGranted()),
        ([SuperuserGranted()], lambda u: u.revoke_superuser(), SuperuserRevoked()),
        ([], lambda u: u.change_profile(username="b"), ProfileChanged(username="b")),
        (
            [],
            lambda u: u.change_profile(profile_image="i", optins={"x": True}),
            ProfileChanged(profile_image="i", optins={"x": True}),
        ),
    ],
)
def test_what_somebody_is_changes_once(
    before: list[Any], command: Any, event: Any
) -> None:
    given(User, REGISTERED, *before).when(command).then(event)
    given(User, REGISTERED, *before, event).when(command).then_nothing_happens()


def test_a_password_can_change_again_and_again() -> None:
    given(User, REGISTERED, PasswordChanged()).when(lambda u: u.change_password()).then(
        PasswordChanged()
    )


def test_nobody_is_called_nothing() -> None:
    given(User, REGISTERED).when(lambda u: u.change_profile(username="")).then_refuses(
        NamelessUserError
    )


def test_a_key_is_issued_once_and_revoked_once() -> None:
    issue = given(User, REGISTERED).when(
        lambda u: u.issue_api_key(KEY, name="mine", hint="sk-12345")
    )
    issue.then(ISSUED)
    given(User, REGISTERED, ISSUED).when(
        lambda u: u.issue_api_key(KEY, name="x", hint="y")
    ).then_refuses(DuplicateApiKeyError)
    given(User, REGISTERED, ISSUED).when(lambda u: u.revoke_api_key(KEY)).then(
        ApiKeyRevoked(key=KEY)
    )
    given(User, REGISTERED, ISSUED, ApiKeyRevoked(key=KEY)).when(
        lambda u: u.revoke_api_key(KEY)
    ).then_refuses(UnknownApiKeyError)


def test_a_key_remembers_its_scopes_sorted_and_each_once() -> None:
    given(User, REGISTERED).when(
        lambda u: u.issue_api_key(
            KEY, name="k", hint="h", scopes=["run", "read", "run"], expires_at=LATER
        )
    ).then(
        ApiKeyIssued(
            key=KEY, name="k", hint="h", scopes=("read", "run"), expires_at=LATER
        )
    )


def test_a_key_is_renamed_and_rests_and_what_is_the_same_stays() -> None:
    given(User, REGISTERED, ISSUED).when(
        lambda u: u.change_api_key(KEY, name="new", active=False)
    ).then(ApiKeyRenamed(key=KEY, name="new"), ApiKeyDisabled(key=KEY))
    given(User, REGISTERED, ISSUED, ApiKeyDisabled(key=KEY)).when(
        lambda u: u.change_api_key(KEY, name="mine", active=True)
    ).then(ApiKeyEnabled(key=KEY))
    given(User, REGISTERED, ISSUED).when(
        lambda u: u.change_api_key(KEY, name="mine", active=True)
    ).then()
    given(User, REGISTERED).when(
        lambda u: u.change_api_key(KEY, active=False)
    ).then_refuses(UnknownApiKeyError)


def test_keys_and_variables_are_remembered() -> None:
    user = User(UUID(int=1))
    user.replay(REGISTERED, ISSUED, DEFINED)

    assert user.api_keys == {KEY: ApiKey("mine", "sk-12345")}
    assert user.variables == {KEY: Variable("A", "Generic", SECRET)}


def test_a_variable_is_defined_under_a_free_name() -> None:
    def define(user: User, name: str = "A") -> None:
        user.define_variable(KEY, name=name, kind="Generic", secret=SECRET)

    given(User, REGISTERED).when(define).then(DEFINED)
    taken = VariableDefined(variable=OTHER, name="A", kind="Generic", secret=SECRET)
    given(User, REGISTERED, taken).when(define).then_refuses(VariableNameTakenError)
    given(User, REGISTERED).when(lambda u: define(u, "")).then_refuses(
        NamelessVariableError
    )


def test_a_variable_changes_in_what_differs() -> None:
    changed = given(User, REGISTERED, DEFINED)
    changed.when(
        lambda u: u.change_variable(KEY, name="A", secret=OTHER, default_fields=["x"])
    ).then(VariableChanged(variable=KEY, secret=OTHER, default_fields=("x",)))
    given(User, REGISTERED, DEFINED).when(
        lambda u: u.change_variable(KEY, name="A", secret=SECRET, default_fields=[])
    ).then_nothing_happens()


def test_an_unknown_variable_neither_changes_nor_goes() -> None:
    given(User, REGISTERED).when(lambda u: u.change_variable(KEY)).then_refuses(
        UnknownVariableError
    )
    given(User, REGISTERED).when(lambda u: u.remove_variable(KEY)).then_refuses(
        UnknownVariableError
    )
    given(User, REGISTERED, DEFINED).when(lambda u: u.remove_variable(KEY)).then(
        VariableRemoved(variable=KEY)
    )


@pytest.mark.parametrize(
    "command",
    [
        lambda u: u.erase(),
        lambda u: u.sign_in("password"),
        lambda u: u.activate(),
        lambda u: u.grant_superuser(),
        lambda u: u.change_password(),
        lambda u: u.change_profile(username="b"),
        lambda u: u.issue_api_key(KEY, name="x", hint="y"),
        lambda u: u.define_variable(KEY, name="x", kind="Generic", secret=SECRET),
    ],
)
def test_nothing_more_happens_to_who_is_erased(command: Any) -> None:
    given(User, REGISTERED, UserErased()).when(command).then_refuses(UserErasedError)
