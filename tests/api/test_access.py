"""Nobody reaches what is another's, by any route that names it."""

import re
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar

from api.app import create_app
from api.composition import Application
from tests.api.conftest import Join, Person, drawn

OPEN = {
    "/",
    "/page/{}",
    "/health",
    "/health_check",
    "/livez",
    "/readyz",
    "/openapi",
    "/openapi/openapi.json",
    "/api/v1/login",
    "/api/v1/login/link",
    "/api/v1/auto_login",
    "/api/v1/refresh",
    "/api/v1/logout",
    "/api/v1/version",
    "/api/v1/config",
    "/api/v1/store/check",
    "/api/v1/store/check/api_key",
    "/api/v1/store/tags",
    "/api/v1/store/components",
    "/api/v1/flows/basic_examples",
    "/api/v1/flows/public_flow/{}",
}
OPEN_TO_POST = {"/api/v1/users"}


class Door(NamedTuple):
    method: str
    path: str
    parameters: tuple[str, ...]


class Belongings(NamedTuple):
    """One of everything, all Ada's."""

    flow: str
    project: str
    variable: str
    key: str
    user: str
    run: str
    message: str


@pytest.fixture(scope="module")
async def ada(join: Join) -> Person:
    """Somebody of these tests alone, for they count what she has."""
    return await join("ada")


def doors(app: Litestar) -> list[Door]:
    return sorted(
        Door(
            method,
            re.sub(r"\{[^}]+\}", "{}", route.path_format),
            tuple(route.path_parameters),
        )
        for route in app.routes
        for method in getattr(route, "methods", ())
        if method not in {"OPTIONS", "HEAD"}
    )


@pytest.fixture(scope="session")
def all_doors(application: Application) -> list[Door]:
    return doors(create_app(application))


@pytest.fixture(scope="module")
async def hers(ada: Person) -> Belongings:
    flow = await ada.post(
        "/api/v1/flows/",
        json={"name": f"hers {uuid4()}", "data": drawn("ChatInput-a", "ChatOutput-b")},
    )
    project = await ada.post("/api/v1/projects/", json={"name": "hers"})
    variable = await ada.post(
        "/api/v1/variables/",
        json={"name": f"HERS_{uuid4().hex}", "value": "x", "default_fields": []},
    )
    key = await ada.post("/api/v1/api_key/", json={"name": "hers"})
    starters = (await ada.get("/api/v1/flows/?header_flows=true")).json()
    echo = next(f for f in starters if f["name"] == "Words in a Template")["id"]
    run = await ada.post(
        f"/api/v1/build/{echo}/flow", json={"inputs": {"input_value": "my secret"}}
    )
    await ada.get(f"/api/v1/build/{run.json()['job_id']}/events")
    messages = (await ada.get(f"/api/v1/monitor/messages?flow_id={echo}")).json()
    return Belongings(
        flow=flow.json()["id"],
        project=project.json()["id"],
        variable=variable.json()["id"],
        key=key.json()["id"],
        user=ada.id,
        run=run.json()["job_id"],
        message=messages[0]["id"],
    )


# What each path parameter names, and what a request must bring along.
NAMES = {
    "flow_id": "flow",
    "flow_id_or_name": "flow",
    "project_id": "project",
    "variable_id": "variable",
    "key_id": "key",
    "user_id": "user",
    "job_id": "run",
    "run_id": "run",
    "message_id": "message",
    "stream_id": "flow",
}
BODIES: dict[tuple[str, str], Any] = {
    ("PATCH", "/api/v1/variables/{}"): lambda hers: {"id": hers.variable, "value": "y"},
    ("PATCH", "/api/v1/flows/{}"): lambda _: {"name": "taken over"},
    ("PATCH", "/api/v1/projects/{}"): lambda _: {"name": "taken over"},
    ("PATCH", "/api/v1/folders/{}"): lambda _: {"name": "taken over"},
    ("PATCH", "/api/v1/users/{}"): lambda _: {"username": "taken-over"},
    ("PATCH", "/api/v1/users/{}/reset-password"): lambda _: {"password": "mine now"},
    ("PUT", "/api/v1/monitor/messages/{}"): lambda _: {"text": "never said"},
}
# Refused in other words than 404, and the same for ids that do not exist.
OTHERWISE = {
    ("GET", "/api/v1/admin/streams/{}"): 403,
    ("GET", "/api/v1/admin/streams/{}/state"): 403,
    ("DELETE", "/api/v1/api_key/{}"): 400,
    ("DELETE", "/api/v1/variables/{}"): 500,
    ("PATCH", "/api/v1/users/{}"): 403,
    ("PATCH", "/api/v1/users/{}/reset-password"): 400,
    ("DELETE", "/api/v1/users/{}"): 403,
    ("POST", "/api/v1/admin/users/{}/erase"): 403,
}


async def test_without_a_credential_no_door_opens(
    all_doors: list[Door], anybody: httpx.AsyncClient
) -> None:
    opened = []
    for door in all_doors:
        if door.path in OPEN or (door.method == "POST" and door.path in OPEN_TO_POST):
            continue
        answer = await anybody.request(
            door.method, door.path.format(*_ids(door)), json={}
        )
        if answer.status_code not in {401, 403}:
            opened.append((door, answer.status_code))

    assert not opened


def _ids(door: Door) -> list[str]:
    return [str(uuid4()) for _ in door.parameters]


async def test_every_door_that_names_something_is_tried(all_doors: list[Door]) -> None:
    unknown = {
        name
        for door in all_doors
        for name in door.parameters
        if name not in NAMES
        and name not in {"session", "name", "path", "projection", "log", "position"}
    }

    assert not unknown


@pytest.mark.slow
async def test_what_is_anothers_is_not_there(
    all_doors: list[Door], hers: Belongings, bob: Person, application: Application
) -> None:
    before = await application.world.store.head()
    opened = []
    for door in all_doors:
        if not door.parameters or door.path in OPEN or door.parameters[0] not in NAMES:
            continue
        hers_or_nobodys = (getattr(hers, NAMES[door.parameters[0]]), str(uuid4()))
        body = BODIES.get((door.method, door.path), lambda _: {})(hers)
        answers = [
            await bob.request(door.method, door.path.format(one), json=body)
            for one in hers_or_nobodys
        ]
        statuses = [answer.status_code for answer in answers]
        expected = OTHERWISE.get((door.method, door.path), 404)
        if statuses != [expected, expected]:
            opened.append((door, statuses))

    assert not opened
    assert await application.world.store.head() == before


async def test_what_is_anothers_is_left_out_of_lists(
    hers: Belongings, ada: Person, bob: Person
) -> None:
    assert hers.flow not in (await bob.get("/api/v1/flows/")).text
    assert hers.project not in (await bob.get("/api/v1/projects/")).text
    assert hers.variable not in (await bob.get("/api/v1/variables/")).text
    assert hers.key not in (await bob.get("/api/v1/api_key/")).text
    assert "my secret" not in (await bob.get("/api/v1/monitor/messages")).text
    assert "my secret" in (await ada.get("/api/v1/monitor/messages")).text
    deleted = await bob.request("DELETE", "/api/v1/flows/", json=[hers.flow])
    assert deleted.json() == {"deleted": 0}
    unsaid = await bob.request(
        "DELETE", "/api/v1/monitor/messages", json=[hers.message]
    )
    assert unsaid.status_code == 204
    assert hers.message in (await ada.get("/api/v1/monitor/messages")).text
    for question in ("builds", "transactions"):
        path = f"/api/v1/monitor/{question}?flow_id={hers.flow}"
        assert (await bob.get(path)).status_code == 404
        assert (await ada.get(path)).status_code == 200


async def test_a_superuser_sees_nobodys_flows(hers: Belongings, root: Person) -> None:
    assert (await root.get(f"/api/v1/flows/{hers.flow}")).status_code == 404


async def test_only_superusers_list_and_delete_users(
    ada: Person, bob: Person, root: Person
) -> None:
    assert (await ada.get("/api/v1/users/")).status_code == 403
    assert (await ada.delete(f"/api/v1/users/{bob.id}")).status_code == 403
    listed = (await root.get("/api/v1/users/?limit=1000")).json()
    assert {ada.id, bob.id} <= {user["id"] for user in listed["users"]}
    assert listed["total_count"] == len(listed["users"])


async def test_nobody_makes_themselves_a_superuser(ada: Person) -> None:
    answer = await ada.patch(f"/api/v1/users/{ada.id}", json={"is_superuser": True})

    assert answer.status_code == 403
    assert answer.json() == {"detail": "Permission denied"}


async def test_what_a_body_says_of_its_owner_is_not_believed(
    ada: Person, bob: Person
) -> None:
    mine = str(uuid4())
    made = await ada.post(
        "/api/v1/flows/",
        json={"name": f"given {mine}", "user_id": bob.id, "id": mine, "version": 99},
    )

    assert made.json()["user_id"] == ada.id
    assert made.json()["id"] != mine


async def test_a_public_flow_is_shown_without_its_secrets(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    data = drawn("Model-1")
    data["nodes"][0]["data"]["node"]["template"]["api_key"] = {
        "password": True,
        "value": "canary-public",
    }
    flow = await ada.post("/api/v1/flows/", json={"name": "open", "data": data})
    path = f"/api/v1/flows/public_flow/{flow.json()['id']}"
    assert (await anybody.get(path)).status_code == 403

    await ada.patch(
        f"/api/v1/flows/{flow.json()['id']}", json={"access_type": "PUBLIC"}
    )

    shown = await anybody.get(path)
    assert shown.status_code == 200
    assert "canary-public" not in shown.text
