"""A run's own events: server-sent, with ids, from any position."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import pytest

from api import streams
from tests.api.runs_server import serving
from tests.application.lab import Lab, Scripted


def told(text: str) -> list[dict[str, Any]]:
    """Return the server-sent events in a body."""
    events = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.split("\n") if line and line[0] != ":"
        )
        if "data" in fields:
            events.append({**fields, "data": json.loads(fields["data"])})
    return events


async def test_every_event_has_its_version_as_its_id() -> None:
    lab = Lab()
    async with serving(lab) as client:
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        answer = await client.get(f"/runs/{run}/events")
        stored = await lab.events(run)

    events = told(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert [int(one["id"]) for one in events] == [one.version for one in stored]
    assert events[0]["event"] == "run.requested"
    assert events[-1]["event"] == "run.succeeded"
    emitted = [one for one in events if one["event"] == "run.message_emitted"]
    assert [one["data"]["content"]["text"] for one in emitted] == ["hello"] * 2
    assert emitted[0]["data"]["data"]["vertex"] == "ChatInput-a"


@pytest.mark.parametrize("after", [1, 3, 6])
async def test_a_reader_who_comes_back_gets_exactly_the_rest(after: int) -> None:
    lab = Lab()
    async with serving(lab) as client:
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        await lab.runs.wait(run)
        whole = told((await client.get(f"/runs/{run}/events")).text)
        seen = {"Last-Event-ID": str(after)}
        rest = await client.get(f"/runs/{run}/events", headers=seen)
        by_query = await client.get(f"/runs/{run}/events?after={after}")

    assert told(rest.text) == told(by_query.text) == whole[after:]


async def test_a_reader_who_has_everything_is_told_not_to_come_again() -> None:
    lab = Lab()
    async with serving(lab) as client:
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        await lab.runs.wait(run)
        version = (await lab.run(run)).version
        answer = await client.get(
            f"/runs/{run}/events", headers={"Last-Event-ID": str(version)}
        )

    assert answer.status_code == 204


async def test_a_quiet_stream_has_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with serving(lab) as client:
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        asyncio.get_running_loop().call_later(0.3, speaker.hangs.set)
        answer = await client.get(f"/runs/{run}/events")

    assert answer.text.count(": still here\n\n") >= 3
    assert told(answer.text)[-1]["event"] == "run.succeeded"


async def test_tokens_come_between_the_events_without_an_id() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken(stream=True))
        run = await lab.ask(flow, input_value="hello")
        asyncio.get_running_loop().call_later(0.3, speaker.hangs.set)
        events = told((await client.get(f"/runs/{run}/events")).text)

    tokens = [one for one in events if one["event"] == "token"]
    said = "".join(one["data"]["chunk"] for one in tokens)
    assert said == "One two three four"
    assert all("id" not in one for one in tokens)


async def test_a_foreign_run_is_not_there() -> None:
    lab = Lab()
    async with serving(lab) as client:
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        stranger = {"x-user": str(uuid4())}
        answers = [
            await client.get(f"/runs/{run}/events", headers=stranger),
            await client.get(f"/runs/{run}", headers=stranger),
            await client.get(f"/runs/{uuid4()}/events"),
        ]

    assert [one.status_code for one in answers] == [404] * 3
