"""Responses by the official client, and as LangBuilder's own clients ask for them."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import openai
import pytest

from api.composition import Application
from tests.api.asking import client_of, drawn_by, talkative
from tests.api.conftest import Person
from tests.fake_openai import FakeModels

DOORS = ("/v1", "/api/v1")


@pytest.mark.parametrize("door", DOORS)
async def test_a_flow_responds_and_goes_on_from_there(
    ada: Person, application: Application, models: FakeModels, door: str
) -> None:
    flow, name = await drawn_by(ada, talkative(application), endpoint=True)
    async with client_of(ada, under=door) as client:
        one = await client.responses.create(model=name, input="I am Ada")
        two = await client.responses.create(
            model=name, input="who am I?", previous_response_id=one.id
        )
        new = await client.responses.create(model=f"lb:{flow}", input="and now?")
        found = await client.responses.retrieve(two.id)

    assert one.status == "completed"
    assert one.output_text == two.output_text == models.answer
    assert one.usage is not None
    assert one.usage.input_tokens > 0
    assert "I am Ada" in models.calls[1].messages[0]["content"]
    assert "I am Ada" not in models.calls[2].messages[0]["content"]
    assert found == two
    assert two.previous_response_id == one.id
    assert new.model == f"lb:{flow}"


@pytest.mark.parametrize("door", DOORS)
async def test_a_response_streams_its_typed_events(
    ada: Person, application: Application, models: FakeModels, door: str
) -> None:
    models.answer = "one two three four five"
    models.hold_after, models.go = 2, asyncio.Event()
    flow, _ = await drawn_by(ada, talkative(application))
    events = []
    async with client_of(ada, under=door) as client:
        async for event in await client.responses.create(
            model=flow, input="count", stream=True
        ):
            events.append(event)
            if event.type == "response.output_text.delta" and not models.go.is_set():
                assert not models.calls[-1].finished
                models.go.set()
        kept = await client.responses.retrieve(events[0].response.id)  # type: ignore[union-attr]

    kinds = [one.type for one in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [one.sequence_number for one in events] == list(range(len(events)))
    deltas = [one.delta for one in events if one.type == "response.output_text.delta"]
    assert len(deltas) > 1
    assert "".join(deltas) == models.answer
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response == kept


async def test_langbuilders_clients_read_lines_of_data_and_done(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    body = {"model": flow, "input": "hi", "stream": True}
    answer = await ada.post("/api/v1/responses", json=body)
    named = await ada.post("/v1/responses", json=body)

    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = answer.text.strip().split("\n\n")
    assert all(chunk.startswith("data: ") for chunk in chunks)
    assert chunks[-1] == "data: [DONE]"
    told = [json.loads(chunk.removeprefix("data: ")) for chunk in chunks[:-1]]
    assert "".join(one.get("delta", "") for one in told) == models.answer
    assert named.text.startswith("event: response.created\ndata: {")


async def test_langbuilders_clients_are_refused_with_200(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    refused = {
        "not_found": {"model": str(uuid4()), "input": "hi"},
        "tools_not_supported": {"model": flow, "input": "hi", "tools": [{}]},
        "empty_input": {"model": flow, "input": " "},
    }
    for code, body in refused.items():
        answer = await ada.post("/api/v1/responses", json=body)
        strict = await ada.post("/v1/responses", json=body)
        assert answer.status_code == 200, answer.text
        assert answer.json()["error"]["code"] == code
        assert answer.json()["error"]["type"] == "invalid_request_error"
        assert strict.status_code in (400, 404)
    models.fail, models.fail_with = 400, "the model is out"
    failed = await ada.post("/api/v1/responses", json={"model": flow, "input": "hi"})
    absent = await ada.post("/api/v1/responses", json={"model": flow})

    assert failed.status_code == 200
    assert "the model is out" in failed.json()["error"]["message"]
    assert absent.status_code == 422


async def test_messages_and_instructions_are_told_before(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    said: list[Any] = [
        {"role": "user", "content": "I am Ada"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
        {"role": "user", "content": [{"type": "input_text", "text": "who am I?"}]},
    ]
    picture = {"type": "input_image", "image_url": "data:image/png;base64,aGk="}
    async with client_of(ada) as client:
        await client.responses.create(model=flow, input=said, instructions="Be kind.")
        for wrong in (
            [{"role": "user", "content": [picture]}],
            [{"type": "function_call_output", "call_id": "c", "output": "o"}],
        ):
            with pytest.raises(openai.BadRequestError):
                await client.responses.create(model=flow, input=wrong)  # type: ignore[arg-type]

    assert models.calls[0].messages[0]["content"] == (
        "Said:\nSystem: Be kind.\nUser: I am Ada\nAI: Hello\nUser: who am I?"
    )


async def test_a_response_in_the_background_is_waited_for_or_stopped(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.delay = 0.2
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        going = await client.responses.create(model=flow, input="a", background=True)
        async with asyncio.timeout(30):
            while (now := await client.responses.retrieve(going.id)).status != (
                "completed"
            ):
                await asyncio.sleep(0.02)
        models.delay = 60
        stuck = await client.responses.create(model=flow, input="b", background=True)
        stopped = await client.responses.cancel(stuck.id)

    assert going.status == "queued"
    assert now.output_text == models.answer
    assert now.background
    assert stopped.status == "cancelled"


async def test_attack_a51_a_foreign_response_is_not_there(
    ada: Person, bob: Person, application: Application, models: FakeModels
) -> None:
    mine, _ = await drawn_by(ada, talkative(application))
    other, _ = await drawn_by(ada, talkative(application))
    his, _ = await drawn_by(bob, talkative(application))
    async with client_of(ada) as hers, client_of(bob) as client:
        response = (await hers.responses.create(model=mine, input="secret")).id
        for unknown in (response, f"resp_{uuid4().hex}", "resp_nonsense"):
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(unknown)
            with pytest.raises(openai.NotFoundError):
                await client.responses.cancel(unknown)
            with pytest.raises(openai.NotFoundError):
                await client.responses.delete(unknown)
            with pytest.raises(openai.NotFoundError):
                await client.responses.input_items.list(unknown)
            with pytest.raises(openai.NotFoundError):
                await client.responses.create(
                    model=his, input="hi", previous_response_id=unknown
                )
        with pytest.raises(openai.BadRequestError):
            await hers.responses.create(
                model=other, input="hi", previous_response_id=response
            )

    assert len(models.calls) == 1


async def test_one_key_is_one_response(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    for door in DOORS:
        key = {"Idempotency-Key": f"{flow}{door}"}
        url, body = f"{door}/responses", {"model": flow, "input": "hi"}
        one = await ada.post(url, json=body, headers=key)
        two = await ada.post(url, json=body, headers=key)
        other = await ada.post(url, json=body | {"input": "ho"}, headers=key)

        assert one.json() == two.json()
        assert other.status_code == 422
    assert len(models.calls) == 2
