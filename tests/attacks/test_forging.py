"""Nobody becomes another, or assigns what is not theirs to say."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest

from api.composition import Application
from tests.api.conftest import Person, signed_in
from tests.attacks.belongings import Belongings, belongings
from tests.attacks.doors import sound
from tests.attacks.flows import echo

GIVEN = {
    "id": str(UUID(int=7)),
    "user_id": str(UUID(int=8)),
    "owner": str(UUID(int=8)),
    "workspace_id": str(UUID(int=9)),
    "is_superuser": True,
    "is_active": True,
    "superuser": True,
    "role": "admin",
    "created_at": "1999-01-01T00:00:00Z",
    "create_at": "1999-01-01T00:00:00Z",
    "updated_at": "1999-01-01T00:00:00Z",
    "last_login_at": "1999-01-01T00:00:00Z",
    "version": 99,
    "store_api_key": "x",
    "total_uses": 99,
    "api_key": "sk-mine",
    "hashed_password": "x",
    "run_id": str(UUID(int=10)),
    "flow_id": str(UUID(int=11)),
}


async def test_a17_a_body_cannot_assign_what_is_not_the_clients_to_say(
    mallory: Person, anybody: httpx.AsyncClient
) -> None:
    hers = await belongings(mallory)
    answers = [
        await mallory.post("/api/v1/flows/", json=GIVEN | {"name": "mass"}),
        await mallory.patch(
            f"/api/v1/flows/{hers.flow}", json=GIVEN | {"name": f"m {uuid4()}"}
        ),
        await mallory.post("/api/v1/projects/", json=GIVEN | {"name": "mass"}),
        await mallory.patch(
            f"/api/v1/projects/{hers.project}", json=GIVEN | {"name": f"m {uuid4()}"}
        ),
        await mallory.post("/api/v1/api_key/", json=GIVEN | {"name": "mass"}),
        await mallory.put(
            f"/api/v1/monitor/messages/{hers.message}", json=GIVEN | {"text": "m"}
        ),
        await anybody.post(
            "/api/v1/users/",
            json=GIVEN | {"username": f"mass-{uuid4().hex}", "password": "x"},
        ),
    ]

    for answer in answers:
        assert answer.status_code < 300, answer.text
        said = answer.json()
        for name in said.keys() & GIVEN.keys() - {"is_active"}:
            assert said[name] != GIVEN[name], (answer.url, name)
    listed = (await mallory.get("/api/v1/users/whoami")).json()
    assert listed["is_superuser"] is False


@pytest.mark.parametrize(
    "change",
    [
        {"is_superuser": True},
        {"is_superuser": False},
        {"is_active": False},
        {"password": "x"},
    ],
)
async def test_a17_nobody_raises_themselves(
    bob: Person, change: dict[str, Any]
) -> None:
    answer = await bob.patch(f"/api/v1/users/{bob.id}", json=change)

    assert answer.status_code in {400, 403}
    sound(answer)


async def test_a18_an_upload_overwrites_nothing(
    hers: Belongings, ada: Person, bob: Person
) -> None:
    before = (await ada.get(f"/api/v1/flows/{hers.flow}")).json()
    stolen = before | {"name": "stolen", "data": echo(template="{stolen}")}

    uploads = [
        await bob.post(
            path, files={"file": ("f.json", httpx.Response(200, json=body).content)}
        )
        for path, body in (
            ("/api/v1/flows/upload/", stolen),
            (
                "/api/v1/projects/upload/",
                {"folder_name": "p", "id": hers.project, "flows": [stolen]},
            ),
        )
    ]
    posted = await bob.post("/api/v1/flows/", json=stolen)

    for answer in uploads:
        [flow] = answer.json()
        assert flow["id"] != hers.flow
        assert flow["user_id"] == bob.id
    assert posted.json()["folder_id"] != before["folder_id"]
    assert (await ada.get(f"/api/v1/flows/{hers.flow}")).json() == before


async def test_a57_headers_forge_neither_actor_nor_time_nor_story(
    application: Application, ada: Person, bob: Person
) -> None:
    forged = {
        "X-User-Id": ada.id,
        "X-Forwarded-User": ada.username,
        "X-Tenant": ada.id,
        "X-Correlation-Id": str(UUID(int=1)),
        "X-Request-Id": str(UUID(int=1)),
        "X-LANGFLOW-GLOBAL-VAR-OPENAI_API_KEY": "forged",
        "Date": "Fri, 01 Jan 1999 00:00:00 GMT",
        "X-HTTP-Method-Override": "DELETE",
    }

    answer = await bob.post(
        "/api/v1/flows/",
        json={"name": f"f {uuid4()}", "metadata": {"actor": ada.id}},
        headers=forged,
    )

    assert answer.json()["user_id"] == bob.id
    [recorded] = await application.world.store.read_stream(
        "core", UUID(answer.json()["id"]), after=0
    )
    metadata = str(dict(recorded.metadata))
    assert bob.id in metadata
    assert ada.id not in metadata
    assert str(UUID(int=1)) not in metadata
    assert recorded.at.year > 1999


async def test_a23_a_key_opens_nothing_but_its_owners_things(
    hers: Belongings, bob: Person, anybody: httpx.AsyncClient
) -> None:
    key = (await bob.post("/api/v1/api_key/", json={"name": "k"})).json()["api_key"]
    for how in (
        {"headers": {"x-api-key": key}},
        {"params": {"x-api-key": key}},
        {"headers": {"Authorization": f"Bearer {key}"}},
    ):
        answer = await anybody.get(f"/api/v1/flows/{hers.flow}", **how)
        assert answer.status_code == 404


async def test_a29_a_token_made_of_ones_own_claims_opens_nothing(
    address: str, ada: Person, anybody: httpx.AsyncClient
) -> None:
    claims = jwt.decode(ada.token, options={"verify_signature": False})
    header = jwt.get_unverified_header(ada.token)
    assert header["alg"] == "HS256"
    signature = ada.token.rpartition(".")[2]
    forged = [
        jwt.encode(claims, "", algorithm="none"),
        jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": "/dev/null"}),
        jwt.encode(claims | {"sub": str(UUID(int=1))}, "k" * 32, algorithm="HS256"),
        ada.token.rpartition(".")[0] + ".",
        ada.token.rpartition(".")[0],
        jwt.encode(claims, "x" * 32, algorithm="HS256").rpartition(".")[0]
        + "."
        + signature[::-1],
        ada.token + "x",
        "Bearer " + ada.token,
    ]

    for token in forged:
        answer = await anybody.get(
            "/api/v1/users/whoami", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 401, token
        sound(answer)
    person = await signed_in(address, ada.username)
    await person.aclose()
