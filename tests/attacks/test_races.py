"""Many at once: names stay unique, edits are not lost, and repeats happen once."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.conftest import PASSWORD, Person, drawn
from tests.api.runs_server import frames
from tests.attacks.conftest import QUEUE, ROOM
from tests.attacks.flows import echo, saved

MANY = 20


async def at_once(asked: Sequence[Awaitable[httpx.Response]]) -> list[httpx.Response]:
    return list(await asyncio.gather(*asked))


def statuses(answers: Sequence[httpx.Response]) -> Counter[int]:
    return Counter(answer.status_code for answer in answers)


async def test_a58_of_many_flows_of_one_name_and_endpoint_each_gets_its_own(
    mallory: Person,
) -> None:
    new = {"name": "the same", "endpoint_name": "the-same", "data": echo()}

    answers = await at_once(
        [mallory.post("/api/v1/flows/", json=new) for _ in range(MANY)]
    )

    assert statuses(answers) == {201: MANY}
    for what in ("id", "name", "endpoint_name"):
        assert len({answer.json()[what] for answer in answers}) == MANY


async def test_a58_of_many_projects_of_one_name_each_gets_its_own(
    mallory: Person,
) -> None:
    answers = await at_once(
        [mallory.post("/api/v1/projects/", json={"name": "p"}) for _ in range(MANY)]
    )

    assert statuses(answers) == {201: MANY}
    assert len({answer.json()["name"] for answer in answers}) == MANY


async def test_a58_of_many_who_want_one_user_name_one_gets_it(
    anybody: httpx.AsyncClient,
) -> None:
    wanted = {"username": f"wanted-{uuid4().hex}", "password": PASSWORD}

    answers = await at_once(
        [anybody.post("/api/v1/users/", json=wanted) for _ in range(MANY)]
    )

    assert statuses(answers) == {201: 1, 400: MANY - 1}


async def test_a58_of_many_variables_of_one_name_one_is_defined(
    eve: Person,
) -> None:
    new = {"name": "SAME", "value": "x", "default_fields": []}

    answers = await at_once(
        [eve.post("/api/v1/variables/", json=new) for _ in range(MANY)]
    )

    assert statuses(answers)[201] == 1
    assert max(statuses(answers)) < 500
    assert len((await eve.get("/api/v1/variables/")).json()) == 1


async def test_a58_a_first_project_is_made_once(eve: Person) -> None:
    for project in (await eve.get("/api/v1/projects/")).json():
        await eve.delete(f"/api/v1/projects/{project['id']}")

    answers = await at_once(
        [eve.post("/api/v1/flows/", json={"name": "homeless"}) for _ in range(8)]
    )

    assert statuses(answers) == {201: 8}
    projects = (await eve.get("/api/v1/projects/")).json()
    assert {answer.json()["folder_id"] for answer in answers} <= {
        project["id"] for project in projects
    }


def with_word(vertex: int, word: str) -> dict[str, Any]:
    document = drawn(*(f"V-{i}" for i in range(MANY)))
    document["nodes"][vertex]["data"]["node"]["template"]["word"] = word
    return document


async def test_a58_edits_of_different_vertices_all_win(mallory: Person) -> None:
    flow = await saved(mallory, drawn(*(f"V-{i}" for i in range(MANY))))
    path, head = f"/api/v1/flows/{flow}", {"If-Match": '"1"'}

    async def edit(vertex: int) -> httpx.Response:
        change = {"data": with_word(vertex, f"word-{vertex}")}
        answer = await mallory.patch(path, json=change, headers=head)
        if answer.status_code != 409:
            return answer
        # Too many at a time is told apart from a clash: nothing conflicts.
        assert answer.json()["detail"]["conflicts"] == []
        return await edit(vertex)

    answers = await at_once([edit(vertex) for vertex in range(MANY)])

    assert statuses(answers) == {200: MANY}
    text = (await mallory.get(path)).text
    assert all(f'"word-{vertex}"' in text for vertex in range(MANY))


async def test_a58_of_edits_of_one_field_one_wins_and_the_others_are_told(
    mallory: Person,
) -> None:
    flow = await saved(mallory, drawn(*(f"V-{i}" for i in range(MANY))))
    path, head = f"/api/v1/flows/{flow}", {"If-Match": '"1"'}

    answers = await at_once(
        [
            mallory.patch(path, json={"data": with_word(0, f"w-{i}")}, headers=head)
            for i in range(MANY)
        ]
    )

    assert statuses(answers) == {200: 1, 409: MANY - 1}
    [won] = [answer for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer is not won:
            assert answer.json()["detail"]["version"] == 2
    assert (await mallory.get(path)).json()["data"] == won.json()["data"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/flows/", {"name": "once", "data": {"nodes": [], "edges": []}}),
        ("/api/v1/projects/", {"name": "once"}),
        ("/api/v1/variables/", {"name": "ONCE", "value": "x", "default_fields": []}),
    ],
)
async def test_a58_what_is_asked_for_twice_at_once_under_one_key_is_made_once(
    eve: Person, path: str, body: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": str(uuid4())}

    answers = await at_once([eve.post(path, json=body, headers=key) for _ in range(8)])
    later = await eve.post(path, json=body, headers=key)

    assert statuses(answers) == {201: 8}
    assert len({answer.json()["id"] for answer in [*answers, later]}) == 1
    listed = (await eve.get(path)).json()
    assert later.json()["id"] in {one["id"] for one in listed}
    assert sum("once" in one["name"].lower() for one in listed) == 1


async def test_a58_a_flow_built_twice_under_one_key_runs_once(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    key = {"Idempotency-Key": str(uuid4())}
    path, body = f"/api/v1/build/{flow}/flow", {"inputs": {"input_value": "once"}}

    answers = await at_once(
        [mallory.post(path, json=body, headers=key) for _ in range(6)]
    )

    assert statuses(answers) == {200: 6}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert (await mallory.get(f"/api/v1/runs?flow_id={flow}")).json()["total"] == 1


async def test_a58_a_flow_run_twice_under_one_key_runs_once(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    key = {"Idempotency-Key": str(uuid4())}
    path, body = f"/api/v1/run/{flow}", {"input_value": "once"}

    answers = await at_once(
        [mallory.post(path, json=body, headers=key) for _ in range(6)]
    )
    other = await mallory.post(path, json={"input_value": "else"}, headers=key)

    assert statuses(answers) == {200: 6}
    assert len({answer.headers["x-run-id"] for answer in answers}) == 1
    assert len({answer.text for answer in answers}) == 1
    assert other.status_code == 422
    assert (await mallory.get(f"/api/v1/runs?flow_id={flow}")).json()["total"] == 1


async def test_a58_one_persons_key_repeats_nothing_of_anothers(
    mallory: Person, bob: Person
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    body = {"name": f"mine {uuid4()}"}

    hers = await mallory.post("/api/v1/flows/", json=body, headers=key)
    his = await bob.post("/api/v1/flows/", json=body, headers=key)

    assert hers.status_code == his.status_code == 201
    assert hers.json()["id"] != his.json()["id"]
    assert his.json()["user_id"] == bob.id


@pytest.mark.slow
async def test_a36_runs_beyond_the_room_are_refused_politely(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    body = {"input_value": "x"}

    answers = await at_once(
        [mallory.post(f"/api/v1/run/{flow}", json=body, timeout=25) for _ in range(200)]
    )

    counted = statuses(answers)
    assert counted.keys() <= {200, 503}
    assert counted[200] >= ROOM + QUEUE
    for answer in answers:
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            assert answer.json()["detail"]
    # Nobody else is kept out afterwards.
    assert (await mallory.post(f"/api/v1/run/{flow}", json=body)).status_code == 200
    runs = (await mallory.get(f"/api/v1/runs?flow_id={flow}")).json()
    assert runs["total"] == counted[200] + 1
    assert {run["status"] for run in runs["items"]} == {"succeeded"}


async def test_a36_a_reader_who_hangs_up_stops_nothing(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    answer = await mallory.post(f"/api/v1/build/{flow}/flow", json={})
    events = f"/api/v1/build/{answer.json()['job_id']}/events"

    for _ in range(5):
        async with mallory.stream("GET", events) as lines:
            async for _ in lines.aiter_raw(16):
                break

    told = frames((await mallory.get(events)).text)
    assert told[-1][0] == "end"
