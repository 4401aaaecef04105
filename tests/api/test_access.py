"""Nobody finds what is another's in lists, or takes it over by what a body says."""

from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import Join, Person, drawn


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


NONE: dict[str, Any] = {
    "builds": {"vertex_builds": {}},
    "transactions": {"items": [], "total": 0, "page": 1, "size": 50, "pages": 0},
}


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
        assert (await bob.get(path)).json() == NONE[question]
        assert (await ada.get(path)).status_code == 200


async def test_a_superuser_sees_nobodys_flows(hers: Belongings, root: Person) -> None:
    assert (await root.get(f"/api/v1/flows/{hers.flow}")).status_code == 404


async def test_only_superusers_list_and_delete_users(
    ada: Person, bob: Person, root: Person
) -> None:
    assert (await ada.get("/api/v1/users/")).status_code == 403
    assert (await ada.delete(f"/api/v1/users/{bob.id}")).status_code == 403
    for one in (ada, bob):
        asked = {"search": one.username}  # there may be more people than on a page
        listed = (await root.get("/api/v1/users/", params=asked)).json()
        assert one.id in {user["id"] for user in listed["users"]}
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
