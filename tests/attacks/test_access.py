"""Nobody gets at what is another's: by no route, no list, no body and no header."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from api.composition import Application
from tests.api.conftest import Join, Person
from tests.attacks.belongings import CANARY, Belongings
from tests.attacks.doors import BELONGINGS, PLAIN, Door, doors, sound
from tests.attacks.flows import built, echo, saved

NOBODYS = {"session": "nobodys"}


@pytest.fixture(scope="session")
async def all_doors(application: Application) -> list[Door]:
    return doors(create_app(application).openapi_schema.to_schema())


BODIES: dict[tuple[str, str], Any] = {
    ("patch", "/api/v1/variables/{}"): lambda one: {"id": one, "value": "y"},
    ("patch", "/api/v1/flows/{}"): lambda _: {"name": "taken over"},
    ("patch", "/api/v1/projects/{}"): lambda _: {"name": "taken over"},
    ("patch", "/api/v1/folders/{}"): lambda _: {"name": "taken over"},
    ("patch", "/api/v1/users/{}"): lambda _: {"username": f"taken-{uuid4().hex}"},
    ("patch", "/api/v1/users/{}/reset-password"): lambda _: {"password": "mine now"},
    ("put", "/api/v1/monitor/messages/{}"): lambda _: {"text": "never said"},
}
# Other words than 404, and the same for ids that do not exist.
OTHERWISE = {
    ("delete", "/api/v1/api_key/{}"): 400,
    ("delete", "/api/v1/variables/{}"): 500,
    ("patch", "/api/v1/users/{}"): 403,
    ("patch", "/api/v1/users/{}/reset-password"): 400,
    ("delete", "/api/v1/users/{}"): 403,
    ("post", "/api/v1/admin/users/{}/erase"): 403,
    ("delete", "/api/v1/monitor/messages/session/{}"): 204,
    ("get", "/api/v1/admin/streams/{}"): 403,
    ("get", "/api/v1/admin/streams/{}/state"): 403,
}


def test_a10_every_parameter_of_every_route_is_in_the_matrix(
    all_doors: list[Door],
) -> None:
    assert len(all_doors) > 50
    unknown = {
        (door.path, name)
        for door in all_doors
        for name in (*door.names, *door.asked)
        if name not in BELONGINGS and name not in PLAIN
    }

    assert not unknown


async def refused_everywhere(
    client: httpx.AsyncClient, all_doors: list[Door], **headers: str
) -> None:
    opened = []
    for door in all_doors:
        if door.public:
            continue
        path = door.to(*(str(uuid4()) for _ in door.names))
        answer = await client.request(door.method, path, json={}, headers=headers)
        if answer.status_code in {401, 403}:
            sound(answer)
        else:
            opened.append((door.method, door.path, answer.status_code))

    assert not opened


async def test_a10_without_a_credential_no_door_opens(
    all_doors: list[Door], anybody: httpx.AsyncClient
) -> None:
    await refused_everywhere(anybody, all_doors)


async def test_a10_with_a_revoked_key_no_door_opens(
    all_doors: list[Door], eve: Person, anybody: httpx.AsyncClient
) -> None:
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()
    with_key = {"x-api-key": key["api_key"]}
    assert (
        await anybody.get("/api/v1/users/whoami", headers=with_key)
    ).status_code == 200

    await eve.delete(f"/api/v1/api_key/{key['id']}")

    await refused_everywhere(anybody, all_doors, **with_key)


async def test_a10_an_inactive_user_finds_every_door_closed(
    all_doors: list[Door], eve: Person, root: Person, anybody: httpx.AsyncClient
) -> None:
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()

    await root.patch(f"/api/v1/users/{eve.id}", json={"is_active": False})

    await refused_everywhere(eve, all_doors)
    by_key = await anybody.get(
        "/api/v1/users/whoami", headers={"x-api-key": key["api_key"]}
    )
    assert by_key.status_code == 401


async def test_a10_a_removed_user_finds_every_door_closed(
    all_doors: list[Door], eve: Person, root: Person, anybody: httpx.AsyncClient
) -> None:
    key = (await eve.post("/api/v1/api_key/", json={"name": "k"})).json()

    gone = await root.delete(f"/api/v1/users/{eve.id}")

    assert gone.status_code == 200
    await refused_everywhere(anybody, all_doors, **{"x-api-key": key["api_key"]})
    assert (await eve.get("/api/v1/users/whoami")).status_code == 401


async def test_a10_what_administers_the_server_is_closed_to_people(
    all_doors: list[Door], mallory: Person, application: Application
) -> None:
    before = await application.world.store.head()
    doors = [door for door in all_doors if door.path.startswith("/api/v1/admin")]
    opened = []
    for door in doors:
        path = door.to(*(str(uuid4()) for _ in door.names))
        answer = await mallory.request(door.method, path, json={})
        sound(answer)
        if answer.status_code != 403:
            opened.append((door, answer.status_code))

    assert len(doors) > 8
    assert not opened
    assert await application.world.store.head() == before


@pytest.mark.slow
async def test_a10_what_is_anothers_does_not_exist(
    all_doors: list[Door], hers: Belongings, bob: Person, application: Application
) -> None:
    before = await application.world.store.head()
    opened = []
    for door in all_doors:
        kinds = [BELONGINGS[name] for name in door.names if name in BELONGINGS]
        if not kinds or door.public:
            continue
        answers = []
        for one in (getattr(hers, kinds[0]), NOBODYS.get(kinds[0], str(uuid4()))):
            body = BODIES.get((door.method, door.path), lambda _: {})(one)
            path = door.to(one) + ("?new_session_id=x" if "session" in kinds else "")
            answers.append(await bob.request(door.method, path, json=body))
        expected = OTHERWISE.get((door.method, door.path), 404)
        same = {_without_ids(answer) for answer in answers}
        if [a.status_code for a in answers] != [expected] * 2 or len(same) > 1:
            opened.append((door, [(a.status_code, a.text[:99]) for a in answers]))

    assert not opened
    assert await application.world.store.head() == before


def _without_ids(answer: httpx.Response) -> str:
    words = answer.text.replace(str(answer.url).split("/")[-1], "")
    return "".join(c for c in words if c not in "0123456789abcdef-")


async def test_a10_a_question_about_anothers_flow_finds_nothing(
    all_doors: list[Door], hers: Belongings, bob: Person
) -> None:
    told = []
    for door in all_doors:
        for name in door.asked:
            kind = BELONGINGS.get(name)
            if kind is None or door.names or door.method != "get":
                continue
            asked = {name: getattr(hers, kind), "get_all": "false"}
            answer = await bob.get(door.path, params=asked)
            if answer.status_code not in {200, 404} or any(
                one in answer.text for one in (hers.run, hers.message, CANARY)
            ):
                told.append((door, answer.status_code, answer.text[:200]))

    assert not told


async def test_a11_a_foreign_flow_is_not_there_by_any_of_its_names(
    hers: Belongings, join: Join, application: Application
) -> None:
    bob = await join("bob")  # somebody new: another Bob may have a copy of her flow
    before = await application.world.store.head()
    for name in (hers.flow, hers.endpoint, hers.flow.upper(), hers.flow + "/"):
        for answer in (
            await bob.post(f"/api/v1/run/{name}", json={}),
            await bob.post(f"/api/v1/run/{name}?stream=true", json={}),
        ):
            assert answer.status_code == 404
            sound(answer)
    for body in ({}, {"data": echo()}):
        answer = await bob.post(f"/api/v1/build/{hers.flow}/flow", json=body)
        assert answer.status_code == 404

    assert await application.world.store.head() == before


async def test_a12_a_foreign_run_can_be_neither_watched_nor_stopped(
    hers: Belongings, bob: Person
) -> None:
    for method, path in (
        ("GET", f"/api/v1/build/{hers.run}/events"),
        ("GET", f"/api/v1/build/{hers.run}/events?event_delivery=polling"),
        ("POST", f"/api/v1/build/{hers.run}/cancel"),
        ("GET", f"/api/v1/runs/{hers.run}"),
        ("GET", f"/api/v1/runs/{hers.run}/events"),
    ):
        answer = await bob.request(method, path, headers={"Last-Event-ID": "1"})
        assert answer.status_code == 404
        sound(answer)


async def test_a14_lists_of_ids_leave_out_what_is_anothers(
    hers: Belongings, ada: Person, bob: Person
) -> None:
    his = await saved(bob, echo())

    files = await bob.post("/api/v1/flows/download/", json=[hers.flow, his])
    deleted = await bob.request("DELETE", "/api/v1/flows/", json=[hers.flow, his])
    unsaid = await bob.request(
        "DELETE", "/api/v1/monitor/messages", json=[hers.message]
    )
    project = await bob.post(
        "/api/v1/projects/", json={"name": "steal", "flows_list": [hers.flow]}
    )
    moved = await bob.patch(
        f"/api/v1/projects/{project.json()['id']}",
        json={"flows": [hers.flow], "components": [hers.flow]},
    )

    assert hers.flow not in files.text
    assert deleted.json() == {"deleted": 1}
    assert unsaid.status_code == 204
    assert moved.status_code == 200
    assert hers.message in (await ada.get("/api/v1/monitor/messages")).text
    flow = (await ada.get(f"/api/v1/flows/{hers.flow}")).json()
    assert flow["user_id"] == ada.id
    assert flow["folder_id"] != project.json()["id"]


async def test_a14_a_session_of_the_same_name_stays_ones_own(
    eve: Person, ada: Person
) -> None:
    name = f"shared {uuid4()}"
    for person in (ada, eve):
        flow = await saved(person, echo())
        await built(person, flow, inputs={"input_value": person.id, "session": name})

    renamed = await eve.patch(
        f"/api/v1/monitor/messages/session/{name}", params={"new_session_id": "mine"}
    )
    removed = await eve.delete("/api/v1/monitor/messages/session/mine")

    assert renamed.status_code == 200
    assert ada.id not in renamed.text
    assert removed.status_code == 204
    left = await ada.get("/api/v1/monitor/messages", params={"session_id": name})
    assert len(left.json()) == 2


async def test_a15_a_memory_of_one_session_name_hears_only_its_own(
    eve: Person, ada: Person
) -> None:
    name = f"shared {uuid4()}"
    told = {}
    for person, word in ((ada, CANARY), (eve, "what was said?")):
        headers = (await person.get("/api/v1/flows/?header_flows=true")).json()
        flow = next(f["id"] for f in headers if f["name"] == "Chat with a Memory")
        asked = {"input_value": word, "session": name}
        told[person.id] = str(await built(person, flow, inputs=asked))

    assert CANARY in told[ada.id]
    assert CANARY not in told[eve.id]
