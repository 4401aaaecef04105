"""Too deep, too many, too long: refused or served, and nobody else waits."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.composition import Application
from tests.api.conftest import Person
from tests.api.runs_server import frames
from tests.attacks.doors import sound, tells_nothing
from tests.attacks.flows import built, echo, saved

JSON = {"Content-Type": "application/json"}


def deep(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


async def keeps_up(application: Application) -> bool:
    head = await application.world.store.head()
    return await application.daemon.reached(head, within=30)


@pytest.mark.parametrize("levels", [150, 190, 250, 700, 980, 3_000, 9_990, 100_000])
async def test_a36_deep_json_is_refused_and_spoils_nothing(
    ada: Person, application: Application, levels: int
) -> None:
    flow = await saved(ada, echo())
    await built(ada, flow, inputs={"input_value": "x"})
    [message, *_] = (await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")).json()
    nested = deep(levels)
    for method, path, body in (
        ("POST", "/api/v1/flows/", f'{{"name":"d","data":{nested}}}'),
        ("PATCH", f"/api/v1/flows/{flow}", f'{{"data":{nested}}}'),
        ("POST", f"/api/v1/build/{flow}/flow", f'{{"data":{nested}}}'),
        ("POST", f"/api/v1/run/{flow}", f'{{"tweaks":{{"x":{nested}}}}}'),
        (
            "POST",
            f"/api/v1/run/{flow}",
            f'{{"tweaks":{{"ChatOutput-c":{{"data_template":{nested}}}}}}}',
        ),
        (
            "PUT",
            f"/api/v1/monitor/messages/{message['id']}",
            f'{{"properties":{nested}}}',
        ),
        (
            "POST",
            "/api/v1/validate/prompt",
            f'{{"name":"t","template":"{{a}}","frontend_node":{nested}}}',
        ),
        (
            "POST",
            "/api/v1/custom_component/update",
            f'{{"code":"","template":{nested},"field":"x","field_value":{nested}}}',
        ),
    ):
        answer = await ada.request(method, path, content=body, headers=JSON)
        if answer.status_code >= 400:
            sound(answer)

    for path in (f"monitor/messages?flow_id={flow}", f"flows/{flow}", "runs"):
        assert (await ada.get(f"/api/v1/{path}")).status_code == 200
    assert await keeps_up(application)


async def test_a36_100_000_nodes_are_refused(mallory: Person) -> None:
    nodes = [{"id": str(i)} for i in range(100_000)]
    flow = await saved(mallory, echo())
    data = {"nodes": nodes, "edges": []}

    for method, path, body in (
        ("POST", "/api/v1/flows/", {"name": "many", "data": data}),
        ("PATCH", f"/api/v1/flows/{flow}", {"data": data}),
        ("POST", f"/api/v1/build/{flow}/flow", {"data": data}),
    ):
        answer = await mallory.request(method, path, json=body)
        sound(answer)


async def test_a36_a_graph_that_goes_round_ends(mallory: Person) -> None:
    data = echo()
    [first, *_] = data["edges"]
    back = first | {
        "id": "back",
        "source": "ChatOutput-c",
        "target": "Prompt Template-b",
    }
    data["edges"].append(back)
    flow = await saved(mallory, data)

    told = await built(mallory, flow)
    asked = await mallory.post(f"/api/v1/run/{flow}", json={})

    assert told[-1][0] == "end"
    assert asked.status_code in {200, 500}
    tells_nothing(asked.text)


@pytest.mark.parametrize(
    "last", ["9" * 18, "9" * 400, "-1", "1e3", "0x1", "1,2", "null"]
)
async def test_a36_any_last_event_id_gets_an_end(mallory: Person, last: str) -> None:
    flow = await saved(mallory, echo())
    job = (await mallory.post(f"/api/v1/build/{flow}/flow", json={})).json()["job_id"]
    await mallory.get(f"/api/v1/build/{job}/events")

    answer = await mallory.get(
        f"/api/v1/runs/{job}/events",
        headers={"Last-Event-ID": last},
        timeout=5,
    )

    assert answer.status_code in {200, 204}


@pytest.mark.parametrize("after", ["-1", "99", "9" * 18, "9" * 30])
@pytest.mark.parametrize(
    "path", ["/api/v1/runs/{}/events", "/api/v1/build/{}/events?event_delivery=polling"]
)
async def test_a36_any_after_gets_an_end(
    mallory: Person, path: str, after: str
) -> None:
    flow = await saved(mallory, echo())
    job = (await mallory.post(f"/api/v1/build/{flow}/flow", json={})).json()["job_id"]
    await mallory.get(f"/api/v1/build/{job}/events")

    answer = await mallory.get(path.format(job), params={"after": after}, timeout=5)

    assert answer.status_code in {200, 204, 422}


@pytest.mark.slow
async def test_a36_many_readers_of_one_run_all_get_all_of_it(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    job = (await mallory.post(f"/api/v1/build/{flow}/flow", json={})).json()["job_id"]
    limits = httpx.Limits(max_connections=150)
    async with httpx.AsyncClient(
        base_url=mallory.base_url, headers=mallory.headers, limits=limits, timeout=20
    ) as many:
        paths = (f"/api/v1/runs/{job}/events", f"/api/v1/build/{job}/events")
        answers = await asyncio.gather(*(many.get(paths[i % 2]) for i in range(150)))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text.count("\nid: ") for answer in answers[::2]}) == 1
    for answer in answers[1::2]:
        assert frames(answer.text)[-1][0] == "end"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/v1/flows/download/"),
        ("DELETE", "/api/v1/flows/"),
        ("DELETE", "/api/v1/monitor/messages"),
        ("POST", "/api/v1/projects/"),
        ("PATCH", "/api/v1/projects/{project}"),
    ],
)
async def test_a36_a_list_of_70_000_ids_is_answered_soon(
    mallory: Person, method: str, path: str
) -> None:
    project = (await mallory.get("/api/v1/projects/")).json()[0]["id"]
    ids = [str(UUID(int=i)) for i in range(70_000)]
    body: Any = ids if "projects" not in path else {"name": "m", "flows_list": ids}
    if method == "PATCH":
        body = {"flows": ids}

    answer = await mallory.request(
        method, path.format(project=project), json=body, timeout=6
    )

    assert answer.status_code < 500, answer.text


async def test_a36_a_batch_and_a_file_hold_only_so_many_flows(mallory: Person) -> None:
    flows = [{"name": "b"}] * 1_001
    batch = await mallory.post("/api/v1/flows/batch/", json={"flows": flows})
    file = {"file": ("f.json", json.dumps({"folder_name": "f", "flows": flows}))}

    sound(batch)
    sound(await mallory.post("/api/v1/flows/batch/", json={"flows": 7}))
    sound(await mallory.post("/api/v1/flows/upload/", files=file))
    sound(await mallory.post("/api/v1/projects/upload/", files=file))


async def test_a36_a_prompt_names_only_so_many_variables(mallory: Person) -> None:
    template = "".join(f"{{a{i}}}" for i in range(100_000))

    answer = await mallory.post(
        "/api/v1/validate/prompt",
        json={"name": "t", "template": template, "frontend_node": {}},
        timeout=5,
    )

    assert answer.status_code == 500  # LangBuilder's status for a bad template
    tells_nothing(answer.text)


async def test_a36_a_session_of_any_length_is_refused_or_kept(mallory: Person) -> None:
    flow = await saved(mallory, echo())
    for length in (500, 501, 512, 513, 100_000):
        answer = await mallory.post(
            f"/api/v1/run/{flow}", json={"session_id": "\U0001f4a9" * length}
        )
        if answer.status_code != 200:
            sound(answer)
    assert (await mallory.get("/api/v1/monitor/messages/sessions")).status_code == 200
