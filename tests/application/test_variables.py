"""What new users are given along from the server's environment."""

from uuid import uuid4

from application.variables import given_along
from domain.user.user import User
from tests.application.world import World


async def test_a_new_user_has_the_providers_keys_and_nothing_else() -> None:
    world = World()
    user = User.register(uuid4(), username="ada", active=True)
    environ = {"OPENAI_API_KEY": "sk-canary", "GOOGLE_API_KEY": "", "HOME": "/home"}

    attached = await given_along(user, environ, world.vault)

    [(variable, defined)] = user.variables.items()
    assert (defined.name, defined.kind) == ("OPENAI_API_KEY", "Credential")
    assert [owned.resource for owned in attached.owned] == [variable]
    assert [sealed.id for sealed in attached.secrets] == [defined.secret]
    assert "sk-canary" not in repr(user.recorded)
