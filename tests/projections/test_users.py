"""Users, their keys and their variables, as they can be asked for."""

from uuid import uuid4

import pytest

from domain.user.events import (
    ApiKeyIssued,
    ApiKeyRevoked,
    ProfileChanged,
    SignedIn,
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
from projections.api_keys.projector import ApiKeysProjector
from projections.api_keys.views import ApiKeyViews
from projections.users.projector import UsersProjector
from projections.users.views import UserViews
from projections.variables.projector import VariablesProjector
from projections.variables.views import VariableViews
from tests.projections.journal import OTHER, OWNER, Journal, ids

pytestmark = pytest.mark.server


async def test_a_user_is_shown_as_they_stand(journal: Journal) -> None:
    await journal.tell(
        OWNER,
        UserRegistered(username="ada", active=False),
        UserActivated(),
        SuperuserGranted(),
        ProfileChanged(profile_image="cat", optins={"github_starred": True}),
        SignedIn(means="password"),
    )
    await journal.tell(OTHER, UserRegistered(username="bob", active=True))
    await journal.project(UsersProjector())

    views = UserViews(journal.database.engine)
    ada = await views.get(OWNER)
    assert ada is not None
    assert (ada.username, ada.profile_image) == ("ada", "cat")
    assert (ada.is_active, ada.is_superuser) == (True, True)
    assert ada.optins == {"github_starred": True}
    assert ada.last_login_at is not None
    assert ada.last_login_at.utcoffset() is not None
    users, total = await views.page(skip=1, limit=1)
    assert (ids(users), total) == ([OTHER], 2)
    assert await views.get(uuid4()) is None


async def test_what_is_taken_away_from_a_user_is_shown_as_gone(
    journal: Journal,
) -> None:
    await journal.tell(
        OWNER,
        UserRegistered(username="ada", active=True, superuser=True),
        ProfileChanged(username="eve", optins={"a": True}),
    )
    await journal.tell(
        OWNER, UserDeactivated(), SuperuserRevoked(), ProfileChanged(optins=None)
    )
    await journal.project(UsersProjector())

    eve = await UserViews(journal.database.engine).get(OWNER)
    assert eve is not None
    assert (eve.username, eve.is_active, eve.is_superuser) == ("eve", False, False)
    assert eve.optins is None


async def test_an_erased_user_is_not_shown(journal: Journal) -> None:
    key, variable = uuid4(), uuid4()
    await journal.tell(
        OWNER,
        UserRegistered(username="ada", active=True),
        ApiKeyIssued(key=key, name="k", hint="sk-12345"),
        VariableDefined(variable=variable, name="V", kind="Generic", secret=uuid4()),
        UserErased(),
    )
    await journal.project(UsersProjector(), ApiKeysProjector(), VariablesProjector())

    engine = journal.database.engine
    assert await UserViews(engine).get(OWNER) is None
    assert await ApiKeyViews(engine).of(OWNER) == []
    assert await VariableViews(engine).of(OWNER) == []


async def test_keys_are_listed_until_they_are_revoked(journal: Journal) -> None:
    kept, revoked = uuid4(), uuid4()
    await journal.tell(
        OWNER,
        ApiKeyIssued(key=kept, name="kept", hint="sk-12345"),
        ApiKeyIssued(key=revoked, name="revoked", hint="sk-67890"),
        ApiKeyRevoked(key=revoked),
    )
    await journal.project(ApiKeysProjector())

    views = ApiKeyViews(journal.database.engine)
    assert ids(await views.of(OWNER)) == [kept]
    assert await views.of(OTHER) == []
    key = await views.get(kept)
    assert key is not None
    assert (key.user_id, key.name, key.hint) == (OWNER, "kept", "sk-12345")
    assert await views.get(revoked) is None


async def test_a_variable_is_found_by_its_newest_name(journal: Journal) -> None:
    one, two, first, second = uuid4(), uuid4(), uuid4(), uuid4()
    await journal.tell(
        OWNER,
        VariableDefined(
            variable=one,
            name="OLD",
            kind="Credential",
            secret=first,
            default_fields=("OpenAI API Key",),
        ),
        VariableDefined(variable=two, name="GONE", kind="Generic", secret=second),
        VariableChanged(variable=one, name="NEW", secret=second),
        VariableRemoved(variable=two),
    )
    await journal.project(VariablesProjector())

    views = VariableViews(journal.database.engine)
    named = await views.named(OWNER, ["OLD", "NEW", "GONE"])
    assert list(named) == ["NEW"]
    assert named["NEW"].secret == second
    assert named["NEW"].default_fields == ["OpenAI API Key"]
    assert await views.named(OTHER, ["NEW"]) == {}
    assert await views.named(OWNER, []) == {}
    assert await views.get(one) == named["NEW"]
    assert ids(await views.of(OWNER)) == [one]
