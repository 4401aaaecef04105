"""Flows drawn in LangBuilder reach their end, by every way of running them."""

import json
from pathlib import Path
from typing import Any

import pytest

from infrastructure.components.registry import BuiltinComponents
from tests.api.runs_server import frames, serving
from tests.application.lab import Lab, names
from tests.fake_openai import FakeModels

FLOWS = Path(__file__).parents[2] / ".." / "shared" / "flows"
NAMES = (
    "basic-prompting",
    "basic-prompt-chaining",
    "memory-chatbot",
    "twitter-thread-generator",
    "test-memorychatbotnollm",
    "test-simpleapitest",
)
READING = "document-qanda"  # which needs a file that somebody uploaded
OTHERS = sorted(
    path for path in FLOWS.glob("*.json") if path.stem not in {*NAMES, READING}
)
SAID = {"inputs": {"input_value": "hello", "session": "s1"}}


def document(name: str) -> Any:
    path = FLOWS / f"{name}.json"
    if not path.exists():
        pytest.skip("the flows of LangBuilder are not beside this repository")
    return json.loads(path.read_text())["data"]


def lab_for(fake: FakeModels) -> Lab:
    lab = Lab(environ={"OPENAI_API_KEY": "sk-of-the-environment"})
    lab.components._builtin = BuiltinComponents(
        base_urls={"OpenAI": f"http://127.0.0.1:{fake.port}/v1"}
    )
    return lab


@pytest.mark.parametrize("name", NAMES)
async def test_a_flow_of_langbuilder_reaches_its_end(name: str) -> None:
    async with FakeModels() as fake:
        lab = lab_for(fake)
        async with serving(lab) as client:
            flow = await lab.add(document(name))
            url = f"/build/{flow}/flow"
            job = (await client.post(url, json=SAID)).json()["job_id"]
            streamed = frames((await client.get(f"/build/{job}/events")).text)
            direct = frames(
                (await client.post(f"{url}?event_delivery=direct", json=SAID)).text
            )
            polled = await poll(client, job)
            run = await client.post(f"/run/{flow}", json={"input_value": "hello"})
            live = await client.post(
                f"/run/{flow}?stream=true", json={"input_value": "hello"}
            )

    for told in (streamed, direct, polled):
        assert names(told)[0] == "vertices_sorted"
        assert names(told)[-1] == "end"
        assert "error" not in names(told), dict(told)["error"]["text"]
    assert run.status_code == 200, run.text
    [output] = run.json()["outputs"][0]["outputs"]
    assert output["results"]["message"]["text"]
    assert names(frames(live.text))[-1] == "end"
    assert "error" not in names(frames(live.text))


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
async def test_a_flow_with_unknown_components_ends_and_names_them(path: Path) -> None:
    async with FakeModels() as fake:
        lab = lab_for(fake)
        async with lab.open():
            flow = await lab.add(document(path.stem))
            told = await lab.frames(await lab.ask(flow, input_value="hello"))
            run = await lab.ask(flow, input_value="hello", trigger="run")
            ended = await lab.runs.wait(run)

    assert (names(told)[0], names(told)[-1]) == ("vertices_sorted", "end")
    builds = [data["build_data"] for name, data in told if name == "end_vertex"]
    failed = [one["id"] for one in builds if not one["valid"]]
    errors = [data["text"] for name, data in told if name == "error"]
    assert len(errors) == len(failed)
    assert all("This server has no component of type" in text for text in errors)
    if failed:
        assert (ended.status, ended.reason) == ("failed", "unknown-component")
    else:
        assert ended.status == "succeeded"


async def poll(client: Any, job: str) -> list[tuple[str, Any]]:
    told: list[tuple[str, Any]] = []
    while not told or told[-1][0] != "end":
        answer = await client.get(f"/build/{job}/events?event_delivery=polling")
        told += frames(answer.text)
    return told


@pytest.mark.parametrize(
    "trouble", [{"fail": 500}, {"cut_after": 2}, {"fail": 401, "fail_with": "bad key"}]
)
async def test_a_model_in_trouble_ends_the_run_with_an_error(
    trouble: dict[str, Any],
) -> None:
    async with FakeModels(**trouble) as fake:
        lab = lab_for(fake)
        async with serving(lab) as client:
            flow = await lab.add(document("basic-prompting"))
            run = await lab.ask(flow, input_value="hello", tweaks={"stream": True})
            told = await lab.frames(run)
            answer = await client.post(f"/run/{flow}", json={"input_value": "hello"})

    assert names(told)[-3:] == ["error", "end_vertex", "end"]
    assert "sk-of-the-environment" not in json.dumps(told)
    assert answer.status_code == 500


async def test_an_unreachable_model_ends_the_run_with_an_error() -> None:
    async with FakeModels() as fake:
        lab = lab_for(fake)
    async with serving(lab):
        run = await lab.ask(await lab.add(document("basic-prompting")), input_value="x")
        told = await lab.frames(run)

    assert names(told)[-3:] == ["error", "end_vertex", "end"]


async def test_cancelling_closes_the_line_to_the_model() -> None:
    async with FakeModels(delay=10) as fake:
        lab = lab_for(fake)
        async with serving(lab) as client:
            flow = await lab.add(document("basic-prompting"))
            job = (await client.post(f"/build/{flow}/flow", json=SAID)).json()["job_id"]
            while not fake.calls:
                await client.get("/nothing")
            cancelled = await client.post(f"/build/{job}/cancel", timeout=1)
            told = frames((await client.get(f"/build/{job}/events")).text)

    assert cancelled.json()["success"] is True
    assert "end" not in names(told)
