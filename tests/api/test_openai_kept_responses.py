"""Responses that are there: heard again, listed, deleted, by the official client."""

from typing import Any

import openai
import pytest

from api.composition import Application
from tests.api.asking import client_of, drawn_by, talkative
from tests.api.conftest import Person
from tests.fake_openai import FakeModels

DOORS = ("/v1", "/api/v1")


async def test_a_background_response_is_heard_again_from_where_its_listener_was(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.answer, models.pause = "one two three four five six", 0.05
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        first = []
        asked = await client.responses.create(
            model=flow, input="count", stream=True, background=True
        )
        async for event in asked:
            first.append(event)
            if len([one for one in first if one.type.endswith("text.delta")]) == 2:
                break
        await asked.close()
        response = first[0].response.id  # type: ignore[union-attr]
        early = await _heard(client, response, first[-1].sequence_number)
        whole = await _heard(client, response)
        middle = next(e for e in whole if e.type.endswith("text.delta"))
        late = await _heard(client, response, middle.sequence_number - 2)
        over = await _heard(client, response, whole[-1].sequence_number)
        sync = await client.responses.create(model=flow, input="count")
        with pytest.raises(openai.BadRequestError):
            await _heard(client, sync.id)

    assert [one.type for one in whole[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert _text(first) + _text(early) == _text(whole) == models.answer
    assert _text(late) == models.answer[len(middle.delta) - 2 :]
    for heard in (first, early, whole, late):
        numbers = [one.sequence_number for one in heard]
        assert numbers == sorted(set(numbers))
    assert [one.type for one in over] == ["response.completed"]


async def _heard(
    client: openai.AsyncOpenAI, response: str, after: int | None = None
) -> list[Any]:
    more: Any = {} if after is None else {"starting_after": after}
    stream = await client.responses.retrieve(response, stream=True, **more)
    return [event async for event in stream]


def _text(events: list[Any]) -> str:
    kind = "response.output_text.delta"
    return "".join(one.delta for one in events if one.type == kind)


@pytest.mark.parametrize("door", DOORS)
async def test_what_a_response_was_asked_is_listed(
    ada: Person, application: Application, models: FakeModels, door: str
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    said: list[Any] = [
        {"role": "user", "content": "I am Ada"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "who am I?"},
        {"role": "developer", "content": "Be brief."},
    ]
    async with client_of(ada, under=door) as client:
        made = await client.responses.create(
            model=flow, input=said, instructions="Be kind."
        )
        items = client.responses.input_items
        all_of_them = [
            one async for one in await items.list(made.id, order="asc", limit=3)
        ]
        newest = await items.list(made.id, limit=1)
        with pytest.raises(openai.BadRequestError):
            await items.list(made.id, after="msg_unknown")

    told: list[Any] = [one.to_dict() for one in all_of_them]
    assert [one["content"][0]["text"] for one in told] == [
        one["content"] for one in said
    ]
    assert [one["role"] for one in told] == ["user", "assistant", "user", "system"]
    assert newest.data[0] == all_of_them[-1]
    assert newest.has_more


@pytest.mark.parametrize("door", DOORS)
async def test_a_deleted_response_leaves_nothing_that_was_said(
    ada: Person, application: Application, models: FakeModels, door: str
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada, under=door) as client:
        made = await client.responses.create(model=flow, input="my secret")
        kept = await client.responses.create(
            model=flow, input="go on", previous_response_id=made.id
        )
        run = made.id.removeprefix("resp_")
        await client.responses.delete(made.id, extra_headers={"Idempotency-Key": run})
        await client.responses.delete(made.id, extra_headers={"Idempotency-Key": run})
        if door == "/v1":
            with pytest.raises(openai.NotFoundError):
                await client.responses.create(
                    model=flow, input="?", previous_response_id=made.id
                )
        for gone in (
            client.responses.delete(made.id),
            client.responses.retrieve(made.id),
            client.responses.cancel(made.id),
            client.responses.input_items.list(made.id),
        ):
            with pytest.raises(openai.NotFoundError) as refused:
                await gone
            assert refused.value.code == "response_not_found"
        still = await client.responses.retrieve(kept.id)
    messages = (await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")).json()
    events = (await ada.get(f"/api/v1/runs/{run}/events?after=2")).text
    version = events.count("\nid: ") + 2
    after_the_end = [
        await ada.get(f"/api/v1/runs/{run}/events", headers={"Last-Event-ID": str(one)})
        for one in (version, version + 1)
    ]

    assert still == kept
    assert [one["text"] for one in messages] == ["go on", models.answer]
    assert "run.succeeded" in events
    assert "my secret" not in events
    assert [one.status_code for one in after_the_end] == [204, 204]


async def test_a_response_that_is_still_made_is_stopped_before_it_is_deleted(
    ada: Person, application: Application, models: FakeModels
) -> None:
    models.delay = 60
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        going = await client.responses.create(model=flow, input="x", background=True)
        await client.responses.delete(going.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(going.id)
    run = (await ada.get(f"/api/v1/runs/{going.id.removeprefix('resp_')}")).json()

    assert run["status"] == "cancelled"
