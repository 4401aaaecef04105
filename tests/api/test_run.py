"""Runs by API: one call, one answer, in LangBuilder's shapes."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from application.ports.components import ComponentFailedError
from tests.api.runs_server import frames, serving
from tests.application.lab import Lab, Scripted, names

FLOW = Path(__file__).parents[2] / ".." / "shared" / "flows" / "test-simpleapitest.json"


async def test_a_run_answers_with_the_outputs_of_the_flow() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo(), endpoint="say-it")
        body = {"input_value": "hi", "session_id": "sess-9"}
        by_id = await client.post(f"/run/{flow}", json=body)
        by_name = await client.post("/run/say-it", json=body)

    assert by_id.status_code == by_name.status_code == 200
    answer = by_id.json()
    assert answer["session_id"] == "sess-9"
    assert answer["outputs"][0]["inputs"] == {"input_value": "hi"}
    [output] = answer["outputs"][0]["outputs"]
    assert output["results"]["message"]["text"] == "hi"
    assert output["results"]["message"]["data"]["text"] == "hi"
    assert output["messages"][0]["message"] == "hi"
    assert output["artifacts"]["message"] == "hi"
    assert output["component_id"] == "ChatOutput-b"
    assert output.keys() == {
        "results",
        "artifacts",
        "outputs",
        "logs",
        "messages",
        "timedelta",
        "duration",
        "component_display_name",
        "component_id",
        "used_frozen_result",
    }


async def test_a_run_needs_no_body() -> None:
    lab = Lab()
    async with serving(lab) as client:
        answer = await client.post(f"/run/{await lab.add(lab.echo())}")

    assert answer.status_code == 200
    assert answer.json()["outputs"][0]["inputs"] == {}


async def test_debug_returns_every_vertex() -> None:
    if not FLOW.exists():
        pytest.skip("the flows of LangBuilder are not beside this repository")
    document = json.loads(FLOW.read_text())["data"]
    lab = Lab()
    async with serving(lab) as client:
        url = f"/run/{await lab.add(document)}"
        debug = await client.post(url, json={"output_type": "debug"})
        text = await client.post(url, json={"output_type": "text"})
        other = await client.post(url, json={"output_type": "any"})

    assert len(debug.json()["outputs"][0]["outputs"]) == 3
    for answer in (text, other):
        [output] = answer.json()["outputs"][0]["outputs"]
        assert output["component_display_name"] == "Chat Output"


async def test_a_streamed_run_tells_messages_tokens_and_the_result() -> None:
    lab = Lab(Scripted("Speaker"))
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken())
        answer = await client.post(
            f"/run/{flow}?stream=true", json={"input_value": "hi"}
        )

    told = frames(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert set(names(told)) == {"add_message", "token", "end"}
    assert "".join(d["chunk"] for n, d in told if n == "token") == "three four"
    result = told[-1][1]["result"]
    assert result["outputs"][0]["outputs"][0]["results"]["message"]["text"] == (
        "three four"
    )


async def test_a_failing_run_says_why_and_its_stream_ends() -> None:
    speaker = Scripted("Speaker")
    speaker.fails = ComponentFailedError("the model is out")
    lab = Lab(speaker)
    async with serving(lab) as client:
        url = f"/run/{await lab.add(lab.spoken())}"
        plain = await client.post(url, json={"input_value": "hi"})
        streamed = await client.post(f"{url}?stream=true", json={"input_value": "hi"})

    assert plain.status_code == 500
    assert json.loads(plain.json()["detail"])["message"] == "the model is out"
    told = frames(streamed.text)
    assert told[-2:] == [("error", {"error": "the model is out"}), ("end", {})]


async def test_tweaks_set_fields_by_vertex_name_and_everywhere() -> None:
    speaker = Scripted("Speaker")
    lab = Lab(speaker)
    async with serving(lab) as client:
        url = f"/run/{await lab.add(lab.spoken())}"
        for tweaks in (
            {"Speaker-m": {"api_key": "one"}},
            {"The Speaker": {"api_key": {"value": "two"}}},
            {"api_key": "three"},
        ):
            answer = await client.post(url, json={"tweaks": tweaks})
            assert answer.status_code == 200
        log = await lab.store.read_log("runs", limit=10_000)
        opened = await lab.contents.open(list(lab.store.content_rows))

    assert [seen["api_key"] for seen in speaker.seen] == ["one", "two", "three"]
    asked = [one for one in opened.values() if b"tweaks" in one]
    assert len(asked) == 3
    assert all(b"$secret" in one and b'"three"' not in one for one in asked)
    assert log


async def test_the_session_of_an_api_run_is_every_vertex_session() -> None:
    lab = Lab()
    async with serving(lab) as client:
        drawing = lab.draw()
        heard = drawing.place("ChatInput-a", "ChatInput", (0, 0), session_id="mine")
        said = drawing.place("ChatOutput-b", "ChatOutput", (1, 0))
        drawing.connect(heard, "message", said, "input_value")
        flow = await lab.add(drawing.document())
        run = await lab.ask(flow, input_value="hello", session="theirs")
        played = await lab.frames(run)
        answer = await client.post(f"/run/{flow}", json={"session_id": "theirs"})

    sessions = [d["session_id"] for n, d in played if n == "add_message"]
    assert sessions == ["mine", "theirs"]
    output = answer.json()["outputs"][0]["outputs"][0]
    assert output["results"]["message"]["session_id"] == "theirs"


async def test_an_input_and_a_tweak_may_not_say_the_same() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo())
        tweaks = {"ChatInput-a": {"input_value": "other"}}
        answer = await client.post(
            f"/run/{flow}", json={"input_value": "hi", "tweaks": tweaks}
        )

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("If you pass an input_value")


async def test_attack_a3_a_tweak_of_source_code_is_refused() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo())
        answers = [
            await client.post(f"/run/{flow}", json={"tweaks": tweaks})
            for tweaks in (
                {"ChatInput-a": {"code": "import os"}},
                {"Chat Input": {"code": {"value": "import os"}}},
                {"code": "import os"},
            )
        ]
        log = await lab.store.read_log("runs")

    for answer in answers:
        assert answer.status_code == 400
        assert answer.json()["detail"] == (
            "The source code of a component cannot be changed by a tweak: code"
        )
    assert log == []


async def test_bad_requests_are_refused_before_anything_runs() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo(), endpoint="say-it")
        unknown = await client.post(f"/run/{uuid4()}", json={})
        nameless = await client.post("/run/nobody", json={})
        foreign = await client.post(
            "/run/say-it", json={}, headers={"x-user": str(uuid4())}
        )
        wrong = [
            await client.post(f"/run/{flow}", json={"tweaks": "all"}),
            await client.post(f"/run/{flow}", json={"session_id": 9}),
            await client.post(f"/run/{flow}", json={"session_id": "a\x00"}),
            await client.post(f"/run/{flow}", json={"input_type": "voice"}),
            await client.post(f"/run/{flow}", json={"output_type": 1}),
        ]
        log = await lab.store.read_log("runs")

    assert unknown.status_code == nameless.status_code == foreign.status_code == 404
    assert nameless.json() == {"detail": "Flow identifier nobody not found"}
    assert [one.status_code for one in wrong] == [422] * 5
    assert log == []


async def test_a_repeated_request_is_the_same_run() -> None:
    lab = Lab()
    async with serving(lab) as client:
        url = f"/run/{await lab.add(lab.echo())}"
        key = {"Idempotency-Key": "once"}
        first = await client.post(url, json={"input_value": "hi"}, headers=key)
        again = await client.post(url, json={"input_value": "hi"}, headers=key)
        other = await client.post(url, json={"input_value": "ho"}, headers=key)

    assert first.json() == again.json()
    assert first.headers["x-run-id"] == again.headers["x-run-id"]
    assert other.status_code == 422
