"""Advanced runs: a flow runs once for each input, and answers with what was asked."""

import json
from typing import Any
from uuid import uuid4

from application.ports.components import ComponentFailedError
from domain.kernel import Json
from domain.run.events import RunRequested
from tests.api.runs_server import serving
from tests.application.lab import Lab, Scripted


def two_ways(lab: Lab) -> Json:
    """Return a flow that takes and gives texts beside its chat."""
    drawing = lab.draw()
    heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
    said = drawing.place("ChatOutput-b", "ChatOutput", (1, 0))
    drawing.connect(heard, "message", said, "input_value")
    shown = drawing.place("TextOutput-c", "TextOutput", (1, 1))
    drawing.connect(heard, "message", shown, "input_value")
    return drawing.document()


def texts(answer: dict[str, Any]) -> list[list[str]]:
    return [
        [
            value["message"]
            for out in one["outputs"]
            for value in out["outputs"].values()
        ]
        for one in answer["outputs"]
    ]


async def test_every_input_is_a_run_and_answers_in_order() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(two_ways(lab))
        inputs = [{"input_value": said, "session": f"s-{said}"} for said in "abc"]
        answer = await client.post(f"/run/advanced/{flow}", json={"inputs": inputs})
        log = await lab.store.read_log("runs", limit=1000)

    assert answer.status_code == 200, answer.text
    assert texts(answer.json()) == [["a", "a"], ["b", "b"], ["c", "c"]]
    assert [one["inputs"] for one in answer.json()["outputs"]] == [
        {"input_value": said} for said in "abc"
    ]
    asked = [
        (one.stream, one.event) for one in log if isinstance(one.event, RunRequested)
    ]
    assert [event.trigger for _, event in asked] == ["run_advanced"] * 3
    assert [event.session for _, event in asked] == ["s-a", "s-b", "s-c"]
    assert answer.headers["x-run-id"].split(",") == [str(run) for run, _ in asked]


async def test_outputs_are_named_by_id_or_display_name() -> None:
    lab = Lab()
    async with serving(lab) as client:
        url = f"/run/advanced/{await lab.add(two_ways(lab))}"
        inputs = [{"input_value": "hi", "components": ["ChatInput-a"]}]
        found = {}
        for name in ("ChatOutput-b", "Text Output", "ChatInput-a"):
            body = {"inputs": inputs, "outputs": [name]}
            answer = await client.post(url, json=body)
            [one] = answer.json()["outputs"]
            found[name] = [out["component_id"] for out in one["outputs"]]
        elsewhere = await client.post(
            url, json={"inputs": [{"input_value": "hi", "components": ["Nobody"]}]}
        )

    assert found == {
        "ChatOutput-b": ["ChatOutput-b"],
        "Text Output": ["TextOutput-c"],
        "ChatInput-a": ["ChatInput-a"],
    }
    assert texts(elsewhere.json()) == [["", ""]]


async def test_without_inputs_a_flow_runs_once() -> None:
    lab = Lab()
    async with serving(lab) as client:
        url = f"/run/advanced/{await lab.add(lab.echo())}"
        nothing = await client.post(url)
        tweaked = await client.post(
            url, json={"tweaks": {"ChatInput-a": {"input_value": "tweaked"}}}
        )

    assert nothing.json()["outputs"][0]["inputs"] == {}
    assert texts(tweaked.json()) == [["tweaked"]]


async def test_a_session_is_one_that_the_flow_has() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo())
        body = {"inputs": [{"input_value": "hi"}], "session_id": "hers"}
        unknown = await client.post(f"/run/advanced/{flow}", json=body)
        await client.post(f"/run/{flow}", json={"session_id": "hers"})
        known = await client.post(f"/run/advanced/{flow}", json=body)

    assert unknown.status_code == 404
    assert unknown.json() == {"detail": "Session hers not found"}
    assert known.json()["session_id"] == "hers"


async def test_what_is_wrong_is_refused_before_anything_runs() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow, nobody = await lab.add(lab.echo()), uuid4()
        unknown = await client.post(f"/run/advanced/{nobody}", json={})
        foreign = await client.post(
            f"/run/advanced/{flow}", json={}, headers={"x-user": str(uuid4())}
        )
        bodies: list[dict[str, Any]] = [
            {"inputs": [{"type": "voice"}]},
            {"inputs": [{}] * 101},
            {"inputs": {"input_value": "hi"}},
            {"outputs": "all"},
        ]
        wrong = [
            await client.post(f"/run/advanced/{flow}", json=body) for body in bodies
        ]
        borrowed = await client.post(
            f"/run/{flow}", headers={"X-LANGFLOW-GLOBAL-VAR-KEY": "theirs"}
        )
        log = await lab.store.read_log("runs")

    assert unknown.status_code == foreign.status_code == 404
    assert unknown.json() == {"detail": f"Flow {nobody} not found"}
    assert foreign.json() == {"detail": f"Flow {flow} not found"}
    assert [one.status_code for one in wrong] == [422] * 4
    assert borrowed.status_code == 400
    assert log == []


async def test_a_flow_that_fails_says_why_and_what_to_try() -> None:
    speaker = Scripted("Speaker")
    speaker.fails = ComponentFailedError("the model is out")
    lab = Lab(speaker)
    async with serving(lab) as client:
        document = lab.spoken()
        document["nodes"][1]["data"]["node"]["lf_version"] = "0.0.0"
        flow = await lab.add(document)
        body = {"inputs": [{"input_value": "a"}, {"input_value": "b"}]}
        answer = await client.post(f"/run/advanced/{flow}", json=body)

    assert answer.status_code == 500
    told = json.loads(answer.json()["detail"])
    assert told["message"] == "the model is out"
    assert "Speaker-m" in told["suggestion"]
    assert len(speaker.seen) == 1


async def test_one_key_is_one_run_an_input() -> None:
    lab = Lab()
    async with serving(lab) as client:
        url = f"/run/advanced/{await lab.add(lab.echo())}"
        key = {"Idempotency-Key": "once"}
        body = {"inputs": [{"input_value": "a"}, {"input_value": "b"}]}
        one = await client.post(url, json=body, headers=key)
        two = await client.post(url, json=body, headers=key)
        other = await client.post(url, json={}, headers=key)

    assert one.json() == two.json()
    assert one.headers["x-run-id"] == two.headers["x-run-id"]
    assert other.status_code == 422


async def test_an_endpoint_name_is_looked_up_among_ones_own() -> None:
    lab = Lab()
    async with serving(lab) as client:
        await lab.add(lab.echo(), endpoint="say-it")
        mine = await client.post(f"/run/say-it?user_id={lab.owner}")
        theirs = await client.post(f"/run/say-it?user_id={uuid4()}")
        streamed = await client.post("/run/say-it?stream=true")

    assert mine.status_code == 200
    assert theirs.status_code == 404
    assert streamed.headers["x-run-id"]
