"""What superusers are given of the server's environment, and what stays theirs."""

from uuid import uuid4

from application.environment import WELL_KNOWN, Environment
from application.ports import SYSTEM, Attached, Cause
from domain.user.user import User
from tests.application.world import World

ENVIRON = {"OPENAI_API_KEY": "sk-canary", "GOOGLE_API_KEY": " ", "HOME": "/home"}


def somebody(*, superuser: bool = True) -> User:
    return User.register(uuid4(), username="ada", active=True, superuser=superuser)


async def saved(world: World, user: User, attached: Attached) -> None:
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    await world.store.save(user, cause=cause, attached=attached)


async def values(world: World, user: User) -> dict[str, str]:
    found = await world.vault.open([one.secret for one in user.variables.values()])
    return {one.name: found[one.secret] for one in user.variables.values()}


async def test_a_superuser_has_what_is_well_known_and_nothing_else() -> None:
    world, user = World(), somebody()

    attached = await Environment(ENVIRON, world.vault).given(user)

    [(variable, defined)] = user.variables.items()
    assert (defined.name, defined.kind) == ("OPENAI_API_KEY", "Credential")
    assert defined.default_fields == ("OpenAI API Key",)
    assert [owned.resource for owned in attached.owned] == [variable]
    assert [sealed.id for sealed in attached.secrets] == [defined.secret]
    assert "sk-canary" not in repr(user.recorded)
    assert len(WELL_KNOWN) == 27


async def test_the_operators_keys_are_for_superusers_alone() -> None:
    world, user = World(), somebody(superuser=False)

    assert await Environment(ENVIRON, world.vault).given(user) == Attached()
    assert not user.variables


async def test_a_second_look_changes_nothing() -> None:
    world, user = World(), somebody()
    environment = Environment(ENVIRON, world.vault)
    await saved(world, user, await environment.given(user))

    assert await environment.given(user) == Attached()
    assert not user.recorded


async def test_what_came_from_the_environment_follows_it() -> None:
    world, user = World(), somebody()
    await saved(world, user, await Environment(ENVIRON, world.vault).given(user))
    [before] = [one.secret for one in user.variables.values()]

    changed = Environment({"OPENAI_API_KEY": "sk-new"}, world.vault)
    attached = await changed.given(user)
    await saved(world, user, attached)

    assert attached.destroyed == (before,)
    assert await values(world, user) == {"OPENAI_API_KEY": "sk-new"}
    assert await changed.given(user) == Attached()


async def test_what_somebody_set_by_hand_stays() -> None:
    world, user = World(), somebody()
    await saved(world, user, await Environment(ENVIRON, world.vault).given(user))
    [(variable, _)] = user.variables.items()
    mine = await world.vault.seal(user.id, "variable", "mine")
    user.change_variable(variable, secret=mine.id)
    await saved(world, user, Attached(secrets=(mine,)))

    changed = Environment({"OPENAI_API_KEY": "sk-new"}, world.vault)

    assert await changed.given(user) == Attached()
    assert await values(world, user) == {"OPENAI_API_KEY": "mine"}


async def test_an_operator_names_more() -> None:
    world, user = World(), somebody()
    environment = Environment(
        {"MY_TOKEN": "t", "OTHER": "o"}, world.vault, more=["MY_TOKEN"]
    )

    await saved(world, user, await environment.given(user))

    assert await values(world, user) == {"MY_TOKEN": "t"}
