"""API keys over HTTP: what each lets in to, until when, and what is told of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import PATIENCE, Join, Person

KEYS = "/api/v1/api_key/"
WHOAMI = "/api/v1/users/whoami"
ALL = ["read", "write", "run", "admin"]

type Bear = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture(scope="module")
async def ada(join: Join) -> Person:
    """Somebody of these tests alone, for they count what she has."""
    return await join("ada")


async def issued(person: Person, **body: Any) -> dict[str, Any]:
    answer = await person.post(KEYS, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture
async def bearing(ada: Person, address: str) -> AsyncIterator[Bear]:
    """Let Ada's client have a key instead of a token."""
    clients: list[httpx.AsyncClient] = []

    async def client(**body: Any) -> httpx.AsyncClient:
        key = (await issued(ada, **body))["api_key"]
        headers = {"x-api-key": key}
        clients.append(
            httpx.AsyncClient(base_url=address, headers=headers, timeout=PATIENCE)
        )
        return clients[-1]

    yield client
    for one in clients:
        await one.aclose()


async def test_a_key_is_shown_once_and_then_masked(ada: Person) -> None:
    made = await issued(ada, name="shown")

    assert made["api_key"].startswith("sk-")
    assert made.keys() >= {
        "name",
        "last_used_at",
        "total_uses",
        "is_active",
        "id",
        "api_key",
        "user_id",
    }
    listed = (await ada.get(KEYS)).json()
    assert listed["total_count"] == len(listed["api_keys"])
    assert listed["user_id"] == ada.id
    [row] = [key for key in listed["api_keys"] if key["id"] == made["id"]]
    assert row["api_key"] == made["api_key"][:8] + "*" * 38
    assert row["created_at"]
    assert made["api_key"] not in str(listed)


@pytest.mark.parametrize("body", [{}, {"name": None}, None])
async def test_a_key_needs_no_name(ada: Person, body: Any) -> None:
    answer = await ada.post(KEYS, json=body) if body is not None else None

    answer = answer or await ada.post(KEYS)

    assert answer.status_code == 200, answer.text
    assert answer.json()["api_key"].startswith("sk-")


async def test_a_key_without_scopes_may_do_all_that_its_user_may(bearing: Bear) -> None:
    client = await bearing(name="all")

    assert (await client.get(WHOAMI)).status_code == 200
    made = await client.post("/api/v1/projects/", json={"name": f"P {uuid4()}"})
    assert made.status_code == 201
    assert (await client.post(KEYS, json={"name": "another"})).status_code == 200


DOORS: list[tuple[str, str, Any, str]] = [
    ("GET", "/api/v1/projects/", None, "read"),
    ("GET", "/api/v1/flows/", None, "read"),
    ("GET", KEYS, None, "read"),
    ("POST", "/api/v1/flows/download/", [str(uuid4())], "read"),
    ("POST", "/api/v1/projects/", {"name": "x"}, "write"),
    ("POST", "/api/v1/variables/", {"name": "X", "value": ""}, "write"),
    ("DELETE", f"/api/v1/flows/{uuid4()}", None, "write"),
    ("POST", f"/api/v1/build/{uuid4()}/flow", {}, "run"),
    ("POST", f"/api/v1/build/{uuid4()}/cancel", {}, "run"),
    ("GET", f"/api/v1/build/{uuid4()}/events", None, "read or run"),
    ("GET", f"/api/v1/runs/{uuid4()}/events", None, "read or run"),
    ("POST", f"/api/v1/run/{uuid4()}", {}, "run"),
    ("POST", KEYS, {"name": "x"}, "admin"),
    ("DELETE", KEYS + str(uuid4()), None, "admin"),
    ("PATCH", f"/api/v1/users/{uuid4()}", {"profile_image": "x"}, "admin"),
    ("PATCH", f"/api/v1/users/{uuid4()}/reset-password", {"password": "x"}, "admin"),
    ("GET", "/api/v1/admin/events", None, "admin"),
    ("GET", "/api/v1/users/", None, "admin"),
]


async def test_a_key_opens_the_doors_of_its_scopes_and_no_others(
    bearing: Bear,
) -> None:
    wrong = []
    for scope in ALL:
        client = await bearing(scopes=[scope])
        assert (await client.get(WHOAMI)).status_code == 200
        for method, path, body, needed in DOORS:
            answer = await client.request(method, path, json=body)
            said = {"detail": f"This API key lacks the scope: {needed}"}
            shut = answer.status_code == 403 and answer.json() == said
            if shut == (scope in needed.split(" or ")):
                wrong.append((scope, method, path, answer.status_code, answer.text))

    assert not wrong


async def test_a_key_gives_out_no_more_than_it_has(
    bearing: Bear, ada: Person, address: str
) -> None:
    client = await bearing(scopes=["admin", "read"])

    broader = await client.post(KEYS, json={"scopes": ["write"]})
    like_itself = await client.post(KEYS, json={"name": "child"})
    narrower = await client.post(KEYS, json={"scopes": ["read", "read"]})

    assert broader.status_code == 403
    assert like_itself.json()["scopes"] == ["admin", "read"]
    assert narrower.json()["scopes"] == ["read"]


@pytest.mark.parametrize(
    "body",
    [
        {"scopes": []},
        {"scopes": ["root"]},
        {"scopes": "read"},
        {"expires_at": "soon"},
        {"name": "x" * 501},
        {"name": "a\nb"},
    ],
)
async def test_a_key_of_no_sense_is_not_made(ada: Person, body: Any) -> None:
    before = (await ada.get(KEYS)).json()["total_count"]

    assert (await ada.post(KEYS, json=body)).status_code == 422
    assert (await ada.get(KEYS)).json()["total_count"] == before


async def test_a_key_is_not_born_expired(ada: Person) -> None:
    answer = await ada.post(KEYS, json={"expires_at": "2020-01-01T00:00:00Z"})

    assert answer.status_code == 400
    assert answer.json() == {"detail": "A key cannot expire before it is issued"}


async def test_an_expired_key_lets_in_nobody(
    application: Application, ada: Person, anybody: httpx.AsyncClient
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1.5)
    made = await issued(ada, name="brief", expires_at=soon.isoformat())
    key = {"x-api-key": made["api_key"]}
    assert made["expires_at"] == soon.replace(tzinfo=None).isoformat()
    answers = [await anybody.get(WHOAMI, headers=key)]

    while answers[-1].status_code == 200:
        await asyncio.sleep(0.05)
        answers.append(await anybody.get(WHOAMI, headers=key))

    assert datetime.now(UTC) >= soon
    assert answers[0].status_code == 200
    assert answers[-1].status_code == 403
    assert answers[-1].json() == {"detail": "This API key has expired"}


async def test_an_expiry_without_an_offset_is_utc(ada: Person) -> None:
    made = await issued(ada, expires_at="2999-01-01T00:00:00")

    assert made["expires_at"] == "2999-01-01T00:00:00.000000"


async def test_a_key_rests_and_wakes_again(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    made = await issued(ada, name="before")
    key, path = {"x-api-key": made["api_key"]}, KEYS + made["id"]

    resting = await ada.patch(path, json={"is_active": False, "name": "after"})

    assert (resting.json()["is_active"], resting.json()["name"]) == (False, "after")
    refused = await anybody.get(WHOAMI, headers=key)
    assert refused.status_code == 403
    assert refused.json() == {"detail": "This API key is disabled"}
    again = await ada.patch(path, json={"is_active": True})
    assert (again.json()["is_active"], again.json()["name"]) == (True, "after")
    assert (await anybody.get(WHOAMI, headers=key)).status_code == 200


async def test_anothers_key_is_neither_changed_nor_revoked(
    ada: Person, bob: Person
) -> None:
    made = await issued(ada)

    changed = await bob.patch(KEYS + made["id"], json={"is_active": False})
    revoked = await bob.delete(KEYS + made["id"])

    assert changed.status_code == 404
    assert revoked.status_code == 400
    assert revoked.json() == {"detail": "API Key not found"}
    [row] = [
        k for k in (await ada.get(KEYS)).json()["api_keys"] if k["id"] == made["id"]
    ]
    assert row["is_active"] is True


async def test_an_unknown_key_is_revoked_with_400(ada: Person) -> None:
    answer = await ada.delete(KEYS + str(uuid4()))

    assert answer.status_code == 400
    assert answer.json() == {"detail": "API Key not found"}


async def test_a_key_runs_a_flow_and_is_counted(bearing: Bear, ada: Person) -> None:
    client = await bearing(name="counted", scopes=["run"])
    flows = (await ada.get("/api/v1/flows/?header_flows=true")).json()
    echo = next(f["id"] for f in flows if f["name"] == "Words in a Template")

    ran = await client.post(f"/api/v1/run/{echo}", json={"input_value": "hi"})

    assert ran.status_code == 200, ran.text
    [row] = [
        k for k in (await ada.get(KEYS)).json()["api_keys"] if k["name"] == "counted"
    ]
    assert row["total_uses"] == 1
    assert row["last_used_at"]


async def test_no_use_of_a_key_is_lost_among_many_at_once(
    bearing: Bear, ada: Person, application: Application
) -> None:
    client = await bearing(name="busy")
    before = await application.world.store.head()

    for _ in range(3):
        await asyncio.gather(*(client.get(WHOAMI) for _ in range(50)))

    [row] = [k for k in (await ada.get(KEYS)).json()["api_keys"] if k["name"] == "busy"]
    assert row["total_uses"] == 150
    assert await application.world.store.head() == before  # and no event a use
