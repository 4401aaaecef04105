"""Runs on the whole server: PostgreSQL, projections, and what can be read after."""

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Join, Person
from tests.api.runs_server import frames
from tests.application.lab import names


@pytest.fixture(scope="module")
async def ada(join: Join) -> Person:
    """Somebody of these tests alone, for they count what her flows came to."""
    return await join("ada")


async def starter(person: Person, name: str) -> str:
    flows = (await person.get("/api/v1/flows/?get_all=true&header_flows=true")).json()
    return next(str(flow["id"]) for flow in flows if flow["name"] == name)


async def built(person: Person, flow: str, said: str, session: str) -> Any:
    inputs = {"input_value": said, "session": session}
    answer = await person.post(f"/api/v1/build/{flow}/flow", json={"inputs": inputs})
    assert answer.status_code == 200, answer.text
    job = answer.json()["job_id"]
    events = await person.get(f"/api/v1/build/{job}/events")
    assert events.status_code == 200, events.text
    return job, frames(events.text)


async def test_once_a_stream_has_ended_what_it_told_can_be_read(ada: Person) -> None:
    flow = await starter(ada, "Words in a Template")

    job, told = await built(ada, flow, "hello", "first")

    assert names(told)[-1] == "end"
    messages = await ada.get(
        f"/api/v1/monitor/messages?flow_id={flow}&session_id=first"
    )
    builds = (await ada.get(f"/api/v1/monitor/builds?flow_id={flow}")).json()
    logs = (await ada.get(f"/api/v1/monitor/transactions?flow_id={flow}")).json()
    run = (await ada.get(f"/api/v1/runs/{job}")).json()
    runs = (await ada.get(f"/api/v1/runs?flow_id={flow}")).json()
    emitted = [data for name, data in told if name == "add_message"]
    assert [one["id"] for one in messages.json()] == [one["id"] for one in emitted]
    assert [one["text"] for one in messages.json()] == [one["text"] for one in emitted]
    assert len(builds["vertex_builds"]) == names(told).count("end_vertex")
    assert logs["total"] == 2
    assert run["status"] == "succeeded"
    assert [one["id"] for one in runs["items"]] == [job]


async def test_a_memory_remembers_from_run_to_run(ada: Person) -> None:
    flow = await starter(ada, "Chat with a Memory")

    await built(ada, flow, "my name is Ada", "remembered")
    _, told = await built(ada, flow, "what is my name?", "remembered")

    assert names(told)[-1] == "end"
    assert "error" not in names(told)
    messages = (await ada.get("/api/v1/monitor/messages?session_id=remembered")).json()
    assert [one["sender"] for one in messages] == ["User", "Machine"] * 2


async def test_tokens_reach_a_reader_while_the_model_speaks(ada: Person) -> None:
    flow = await starter(ada, "Basic Prompting")

    _, told = await built(ada, flow, "tell me something", "spoken")

    text = "".join(data["chunk"] for name, data in told if name == "token")
    messages = (await ada.get("/api/v1/monitor/messages?session_id=spoken")).json()
    assert text == messages[-1]["text"]


async def test_a_frozen_vertex_is_built_once_for_each_input(ada: Person) -> None:
    flow = await starter(ada, "Basic Prompting")
    data = (await ada.get(f"/api/v1/flows/{flow}")).json()["data"]
    for node in data["nodes"]:
        node["data"]["node"]["frozen"] = node["id"].startswith("LanguageModel")
    await ada.patch(f"/api/v1/flows/{flow}", json={"data": data})

    used = []
    for said in ("one", "one", "two", "two", "one"):
        _, told = await built(ada, flow, said, "frozen")
        assert names(told)[-1] == "end"
        assert "error" not in names(told)
        used += [
            one["build_data"]["data"]["used_frozen_result"]
            for name, one in told
            if name == "end_vertex" and one["build_data"]["id"].startswith("Language")
        ]

    assert used == [False, True, False, True, False]


async def test_another_ones_runs_are_not_there(ada: Person, bob: Person) -> None:
    flow = await starter(ada, "Words in a Template")
    job, _ = await built(ada, flow, "hello", "mine")

    for path in (f"build/{job}/events", f"runs/{job}", f"runs/{job}/events"):
        assert (await bob.get(f"/api/v1/{path}")).status_code == 404
    assert (await bob.post(f"/api/v1/build/{job}/cancel")).status_code == 404
    assert (await bob.post(f"/api/v1/build/{flow}/flow", json={})).status_code == 404
    assert (await bob.post(f"/api/v1/run/{flow}", json={})).status_code == 404
    ones = (await bob.get("/api/v1/runs")).json()["items"]
    assert job not in [one["id"] for one in ones]


async def test_a_run_by_api_key_answers_when_its_reads_are_served(ada: Person) -> None:
    flow = await starter(ada, "Words in a Template")
    key = (await ada.post("/api/v1/api_key/", json={"name": "k"})).json()["api_key"]

    answer = await ada.post(
        f"/api/v1/run/{flow}",
        json={"input_value": "by key", "session_id": "keyed"},
        headers={"Authorization": "", "x-api-key": key},
    )

    assert answer.status_code == 200, answer.text
    assert "x-stale" not in answer.headers
    messages = (await ada.get("/api/v1/monitor/messages?session_id=keyed")).json()
    assert messages[0]["text"] == "by key"


async def test_twenty_runs_at_once_end_and_are_all_told(ada: Person) -> None:
    flow = await starter(ada, "Words in a Template")

    stories = await asyncio.gather(
        *(built(ada, flow, f"number {n}", "crowd") for n in range(20))
    )

    assert {names(told)[-1] for _, told in stories} == {"end"}
    messages = (await ada.get("/api/v1/monitor/messages?session_id=crowd")).json()
    assert len(messages) == 40
