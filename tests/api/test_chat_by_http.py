"""Chat by plain requests, at the address where the WebSocket is."""

import asyncio
import json
from uuid import uuid4

import httpx
import pytest

from api.composition import Application
from tests.api.asking import drawn_by, key_of, talkative
from tests.api.conftest import Person
from tests.api.talking import bearing, talking
from tests.fake_openai import FakeModels

CHAT = "/api/v1/chat"


async def test_a_flow_replies_and_remembers_its_session(
    ada: Person, application: Application, models: FakeModels, address: str
) -> None:
    flow, name = await drawn_by(ada, talkative(application), endpoint=True)
    one = await ada.post(f"{CHAT}/{flow}", json={"message": "I am Ada"})
    two = await ada.post(
        f"{CHAT}/{name}", json={"message": "who am I?", "session_id": flow}
    )
    other = await ada.post(
        f"{CHAT}/{flow}", json={"message": "and here?", "session_id": "s2"}
    )
    async with talking(address, f"{CHAT}/{flow}", headers=bearing(ada)) as talk:
        await talk.say(type="message", message="by socket")
        socket = await talk.until("end")
    run = (await ada.get(f"/api/v1/runs/{one.json()['run_id']}")).json()

    assert one.status_code == 200, one.text
    assert one.json()["message"] == models.answer
    assert one.json()["flow_id"] == one.json()["session_id"] == flow
    assert one.json()["usage"]["input_tokens"] > 0
    assert one.headers["x-run-id"] == one.json()["run_id"]
    assert "I am Ada" in models.calls[1].messages[0]["content"]
    assert "I am Ada" not in models.calls[2].messages[0]["content"]
    assert two.status_code == other.status_code == 200
    assert socket[0]["flow_id"] == flow
    assert "who am I?" in models.calls[3].messages[0]["content"]
    assert (run["trigger"], run["session"]) == ("chat", flow)


async def test_a_streamed_reply_has_the_frames_of_the_socket(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.answer = "one two three"
    models.hold_after, models.go = 1, asyncio.Event()
    flow, _ = await drawn_by(ada, talkative(application))
    said, frames = {"message": "count"}, []
    async with ada.stream("POST", f"{CHAT}/{flow}?stream=true", json=said) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                frames.append(json.loads(line.removeprefix("data: ")))
                if frames[-1]["type"] == "token":
                    models.go.set()

    assert answer.headers["content-type"].startswith("text/event-stream")
    kinds = [one["type"] for one in frames]
    assert kinds[:2] == ["message", "stream"]
    assert kinds[-2:] == ["message", "end"]
    chunks = [one["data"]["chunk"] for one in frames if one["type"] == "token"]
    assert "".join(chunks) == frames[-2]["data"]["text"] == models.answer


async def test_what_was_said_is_listed_and_cleared(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, name = await drawn_by(ada, talkative(application), endpoint=True)
    beside, _ = await drawn_by(ada, talkative(application))
    for session in ("s1", "s2"):
        said = {"message": f"in {session}", "session_id": session}
        await ada.post(f"{CHAT}/{flow}", json=said)
    await ada.post(f"{CHAT}/{beside}", json={"message": "stays", "session_id": "s1"})
    all_ = (await ada.get(f"{CHAT}/{name}/messages")).json()
    newest = (await ada.get(f"{CHAT}/{flow}/messages?limit=1")).json()
    older = (await ada.get(f"{CHAT}/{flow}/messages?limit=1&offset=3")).json()
    one = (await ada.get(f"{CHAT}/{flow}/messages?session_id=s1")).json()
    monitored = (await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")).json()
    cleared = await ada.delete(f"{CHAT}/{flow}/messages?session_id=s1")
    left = (await ada.get(f"{CHAT}/{flow}/messages")).json()
    key = {"Idempotency-Key": uuid4().hex}
    rest = [await ada.delete(f"{CHAT}/{flow}/messages", headers=key) for _ in "12"]
    nothing = (await ada.get(f"{CHAT}/{flow}/messages")).json()
    others = (await ada.get(f"{CHAT}/{beside}/messages")).json()

    assert all_ == monitored
    assert [one["text"] for one in all_] == [
        *("in s1", models.answer),
        *("in s2", models.answer),
    ]
    assert (newest, older, one) == (all_[-1:], all_[:1], all_[:2])
    assert (cleared.status_code, left) == (204, all_[2:])
    assert [one.status_code for one in rest] == [204, 204]
    assert nothing == []
    assert len(others) == 2


async def test_very_many_messages_are_cleared_in_several_steps(
    ada: Person,
    application: Application,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    for _ in range(2):
        await ada.post(f"{CHAT}/{flow}", json={"message": "hello"})
    monkeypatch.setattr("application.messages.AT_ONCE", 3)
    await ada.delete(f"{CHAT}/{flow}/messages")

    assert (await ada.get(f"{CHAT}/{flow}/messages")).json() == []


async def test_one_key_is_one_run_and_a_failure_says_why(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    key = {"Idempotency-Key": uuid4().hex}
    one, two = [
        await ada.post(f"{CHAT}/{flow}", json={"message": "hi"}, headers=key)
        for _ in "12"
    ]
    other = await ada.post(f"{CHAT}/{flow}", json={"message": "ho"}, headers=key)
    models.fail, models.fail_with = 400, "the model is out"
    failed = await ada.post(f"{CHAT}/{flow}", json={"message": "hi"})
    wrong = [
        await ada.post(f"{CHAT}/{flow}", json=body)
        for body in ({}, {"message": 7}, {"message": "x", "session_id": "a\nb"})
    ]
    tweaked = await ada.post(
        f"{CHAT}/{flow}",
        json={"message": "hi", "tweaks": {"ChatInput-t": {"input_value": "ho"}}},
    )

    assert one.json() == two.json()
    assert other.status_code == 422
    assert failed.status_code == 500
    assert "the model is out" in failed.json()["detail"]
    assert {answer.status_code for answer in wrong} == {422}
    assert tweaked.status_code == 400


async def test_attack_a11_a_foreign_flow_cannot_be_chatted_with(
    ada: Person,
    bob: Person,
    anybody: httpx.AsyncClient,
    application: Application,
    models: FakeModels,
) -> None:
    flow, name = await drawn_by(ada, talkative(application), endpoint=True)
    await ada.post(f"{CHAT}/{flow}", json={"message": "mine", "session_id": "same"})
    for one in (flow, name, str(uuid4())):
        answers = [
            await bob.post(f"{CHAT}/{one}", json={"message": "hi"}),
            await bob.get(f"{CHAT}/{one}/messages"),
            await bob.delete(f"{CHAT}/{one}/messages?session_id=same"),
        ]
        assert {answer.status_code for answer in answers} == {404}
    reader = {"name": "r", "scopes": ["read"]}
    made = await ada.post("/api/v1/api_key/", json=reader)
    key = {"x-api-key": made.json()["api_key"]}
    runner = {"x-api-key": await key_of(ada)}

    assert (await anybody.get(f"{CHAT}/{flow}/messages", headers=key)).is_success
    for method, path in (("POST", flow), ("DELETE", f"{flow}/messages")):
        refused = await anybody.request(
            method, f"{CHAT}/{path}", headers=key, json={"message": "hi"}
        )
        assert refused.status_code == 403
    mine = await anybody.get(f"{CHAT}/{flow}/messages", headers=runner)
    assert len(mine.json()) == 2
    assert len(models.calls) == 1
