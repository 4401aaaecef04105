"""Variables over HTTP: what they hold is sealed, and a credential is never shown."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import Join, Person


async def define(person: Person, **fields: Any) -> httpx.Response:
    body = {"name": f"V_{uuid4().hex}", "value": "v", "default_fields": []}
    return await person.post("/api/v1/variables/", json=body | fields)


async def test_a_generic_value_is_shown_and_a_credential_is_not(join: Join) -> None:
    eve = await join("eve")
    plain = await define(eve, type="Generic", value="shown")
    secret = await define(eve, type="Credential", value="hidden")

    listed = {v["id"]: v for v in (await eve.get("/api/v1/variables/")).json()}

    assert plain.status_code == secret.status_code == 201
    assert listed[plain.json()["id"]]["value"] == "shown"
    assert listed[secret.json()["id"]]["value"] is None
    assert "hidden" not in secret.text


async def test_a_variable_is_a_credential_unless_it_is_said(ada: Person) -> None:
    assert (await define(ada)).json()["type"] == "Credential"
    small = await define(ada, type="credential", value="hidden")
    assert (small.status_code, small.json()["type"]) == (201, "Credential")
    assert "hidden" not in small.text
    assert (await define(ada, type="generic")).json()["type"] == "Generic"
    assert (await define(ada, type="secret")).status_code == 422


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Variable name cannot be empty"),
        ({"value": ""}, "Variable value cannot be empty"),
        ({"name": "", "value": ""}, "Variable name and value cannot be empty"),
    ],
)
async def test_an_empty_variable_is_refused(
    ada: Person, fields: dict[str, str], said: str
) -> None:
    answer = await define(ada, **fields)

    assert answer.status_code == 400
    assert answer.json() == {"detail": said}


async def test_a_name_is_used_once(ada: Person) -> None:
    first = await define(ada)

    again = await define(ada, name=first.json()["name"])

    assert again.status_code == 400
    assert again.json() == {"detail": "Variable name already exists"}


async def test_a_variable_is_changed_and_its_old_value_destroyed(
    application: Application, ada: Person
) -> None:
    variable = (await define(ada, type="Generic", value="old")).json()
    user = await application.world.users.get(UUID(ada.id))
    before = user.variables[UUID(variable["id"])].secret

    answer = await ada.patch(
        f"/api/v1/variables/{variable['id']}",
        json={"id": variable["id"], "value": "new", "default_fields": ["Key"]},
    )

    assert answer.json() | {"value": "new", "default_fields": ["Key"]} == answer.json()
    assert answer.json()["name"] == variable["name"]
    assert await application.world.vault.open([before]) == {}


async def test_a_change_must_say_its_id(ada: Person) -> None:
    variable = (await define(ada)).json()

    answer = await ada.patch(f"/api/v1/variables/{variable['id']}", json={"value": "x"})

    assert answer.status_code == 422


async def test_a_variable_is_removed_once(ada: Person) -> None:
    variable = (await define(ada)).json()["id"]

    assert (await ada.delete(f"/api/v1/variables/{variable}")).status_code == 204
    again = await ada.delete(f"/api/v1/variables/{variable}")
    assert again.status_code == 500
    assert again.json() == {"detail": f"{variable} variable not found."}
    unknown = await ada.patch(
        f"/api/v1/variables/{variable}", json={"id": variable, "name": "x"}
    )
    assert unknown.status_code == 404
    assert unknown.json() == {"detail": "Variable not found"}


async def test_no_value_is_in_any_event(application: Application, ada: Person) -> None:
    canary = f"canary-{uuid4()}"

    await define(ada, value=canary)

    assert canary not in repr(await application.world.store.read_log("core"))
