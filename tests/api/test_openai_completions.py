"""Completions by the official client, against flows that ask a model."""

import asyncio
from typing import Any

import httpx
import openai
import pytest

from api.composition import Application
from tests.api.asking import client_of, drawn_by, key_of, talkative
from tests.api.conftest import Person
from tests.fake_openai import FakeModels

ASKED: list[Any] = [{"role": "user", "content": "good day"}]


async def test_a_flow_is_a_model_that_completes_a_chat(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, name = await drawn_by(ada, talkative(application), endpoint=True)
    async with client_of(ada) as client:
        known = [one.id async for one in client.models.list()]
        found = await client.models.retrieve(f"lb:{name}")
        answers = [
            await client.chat.completions.create(model=model, messages=ASKED)
            for model in (f"lb:{name}", name, flow, f"lb:{flow}")
        ]

    assert f"lb:{name}" in known
    assert found.id == f"lb:{name}"
    for answer in answers:
        assert answer.id.startswith("chatcmpl-")
        assert answer.choices[0].message.content == models.answer
        assert answer.choices[0].finish_reason == "stop"
        assert answer.usage is not None
        assert answer.usage.prompt_tokens > 0
        assert answer.usage.total_tokens == (
            answer.usage.prompt_tokens + answer.usage.completion_tokens
        )


async def test_tokens_come_while_the_model_still_speaks(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.answer = "one two three four five six"
    models.hold_after, models.go = 2, asyncio.Event()
    flow, _ = await drawn_by(ada, talkative(application))
    at: list[bool] = []
    text, finish = "", None
    async with client_of(ada) as client:
        stream = await client.chat.completions.create(
            model=flow,
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                at.append(models.calls[-1].finished)
                text += chunk.choices[0].delta.content
                models.go.set()
            if chunk.choices:
                finish = chunk.choices[0].finish_reason or finish
        last = chunk

    assert text == models.answer
    assert finish == "stop"
    assert len(at) > 1
    assert not at[0]
    assert last.choices == []
    assert last.usage is not None
    assert last.usage.completion_tokens > 0


async def test_the_conversation_reaches_the_flow_and_becomes_no_messages(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    messages: list[Any] = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "I am Ada"}]},
        {"role": "assistant", "content": "Hello Ada"},
        {"role": "user", "content": "who am I?"},
    ]
    async with client_of(ada) as client:
        await client.chat.completions.create(model=flow, messages=ASKED)
        await client.chat.completions.create(model=flow, messages=messages)
    stored = await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")

    [asked] = [one for one in models.calls[1].messages if one["role"] == "system"]
    assert asked["content"] == (
        "Said:\nSystem: Be kind.\nUser: I am Ada\nAI: Hello Ada\nUser: who am I?"
    )
    assert [one["text"] for one in stored.json()] == [
        *("good day", models.answer),
        *("who am I?", models.answer),
    ]


async def test_a_session_that_is_named_remembers_by_itself(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        for said in ("I am Ada", "who am I?"):
            await client.chat.completions.create(
                model=flow,
                messages=[{"role": "user", "content": said}],
                metadata={"session_id": "hers"},
            )

    assert "I am Ada" in models.calls[1].messages[0]["content"]


async def test_a_failing_flow_is_run_once_and_says_why(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.fail, models.fail_with = 400, "the model is out"
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        with pytest.raises(openai.InternalServerError, match="the model is out"):
            await client.chat.completions.create(model=flow, messages=ASKED)
        runs = (await ada.get(f"/api/v1/runs?flow_id={flow}")).json()
        with pytest.raises(openai.APIError, match="the model is out"):
            async for _ in await client.chat.completions.create(
                model=flow, messages=ASKED, stream=True
            ):
                pass

    assert runs["total"] == 1
    assert runs["items"][0]["trigger"] == "openai"


async def test_what_a_flow_cannot_do_is_refused_by_its_name(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    wrong: list[tuple[str | None, dict[str, Any]]] = [
        ("tools", {"tools": [tool]}),
        ("n", {"n": 2}),
        ("logprobs", {"logprobs": True}),
        ("response_format", {"response_format": {"type": "json_object"}}),
        ("messages", {"messages": [{"role": "system", "content": "x"}]}),
        (None, {"messages": []}),
        (
            "messages[0].content",
            {"messages": [{"role": "user", "content": [picture]}]},
        ),
        (
            "messages[1]",
            {"messages": [*ASKED, {"role": "tool", "content": "", "tool_call_id": ""}]},
        ),
    ]
    async with client_of(ada) as client:
        for param, more in wrong:
            body: dict[str, Any] = {"model": flow, "messages": ASKED, **more}
            with pytest.raises(openai.BadRequestError) as refused:
                await client.chat.completions.create(**body)
            assert refused.value.param == param, more
            assert refused.value.type == "invalid_request_error"
        kept = await client.chat.completions.create(
            model=flow, messages=ASKED, temperature=0.3, max_tokens=5, seed=1, stop="x"
        )

    assert kept.choices[0].message.content == models.answer
    assert len(models.calls) == 1


async def test_attack_a51_a_foreign_flow_is_no_model(
    ada: Person, bob: Person, application: Application, models: FakeModels
) -> None:
    flow, name = await drawn_by(ada, talkative(application), endpoint=True)
    await ada.patch(f"/api/v1/flows/{flow}", json={"access_type": "PUBLIC"})
    async with client_of(bob) as client:
        known = [one.id async for one in client.models.list()]
        for model in (flow, name, f"lb:{name}"):
            with pytest.raises(openai.NotFoundError) as refused:
                await client.chat.completions.create(model=model, messages=ASKED)
            assert refused.value.code == "model_not_found"
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve(model)

    assert f"lb:{name}" not in known
    assert models.calls == []


async def test_who_has_no_key_is_told_so_in_openais_words(
    ada: Person, anybody: httpx.AsyncClient
) -> None:
    none = await anybody.get("/v1/models")
    wrong = await anybody.get("/v1/models", headers={"x-api-key": "sk-wrong"})
    bearer = await anybody.get(
        "/v1/models", headers={"Authorization": f"Bearer {await key_of(ada)}"}
    )
    header = await anybody.get("/v1/models", headers={"x-api-key": await key_of(ada)})

    for answer in (none, wrong):
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "invalid_api_key"
        assert answer.json()["error"]["message"] == answer.json()["detail"]
    assert bearer.status_code == header.status_code == 200


async def test_one_key_is_one_run_streamed_or_not(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    for stream in (False, True):
        key = {"Idempotency-Key": f"{flow}-{stream}"}
        body = {"model": flow, "messages": ASKED, "stream": stream}
        one = await ada.post("/v1/chat/completions", json=body, headers=key)
        two = await ada.post("/v1/chat/completions", json=body, headers=key)
        body["model"] = f"lb:{flow}"
        other = await ada.post("/v1/chat/completions", json=body, headers=key)

        assert one.status_code == two.status_code == 200
        assert one.headers["x-run-id"] == two.headers["x-run-id"]
        assert str(models.answer).split()[-1] in two.text
        assert other.status_code == 422
        assert other.json()["error"]["type"] == "invalid_request_error"
    assert len(models.calls) == 2


async def test_whoever_hangs_up_stops_the_model(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.answer, models.pause = "word " * 400, 0.02
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        stream = await client.chat.completions.create(
            model=flow, messages=ASKED, stream=True
        )
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
    async with asyncio.timeout(30):
        await models.calls[0].ended.wait()

    assert models.calls[0].hung_up
