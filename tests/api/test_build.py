"""The playground's routes: build, events by three deliveries, cancel."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest

from api.polls import LONGEST, Polls
from application.runs import Limits
from tests.api.runs_server import frames, serving
from tests.application.lab import Lab, Scripted, names
from tests.projections.journal import until

WHOLE = [
    "vertices_sorted",
    "add_message",
    "end_vertex",
    "add_message",
    "end_vertex",
    "end",
]
HELLO = {"inputs": {"input_value": "hello", "session": "s1"}}


async def test_a_build_streams_its_events_in_lines_of_json() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo())
        started = await client.post(f"/build/{flow}/flow", json=HELLO)
        events = await client.get(f"/build/{started.json()['job_id']}/events")

    assert started.status_code == 200
    assert events.headers["content-type"].startswith("application/x-ndjson")
    assert names(frames(events.text)) == WHOLE
    assert all(piece.endswith("}") for piece in events.text.split("\n\n") if piece)


async def test_direct_delivery_answers_with_the_events_themselves() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo())
        answer = await client.post(
            f"/build/{flow}/flow", params={"event_delivery": "direct"}, json=HELLO
        )

    assert names(frames(answer.text)) == WHOLE


async def test_polling_gives_every_event_once_and_then_the_end_again() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken())
        job = (await client.post(f"/build/{flow}/flow", json=HELLO)).json()["job_id"]
        url = f"/build/{job}/events?event_delivery=polling"
        told = frames((await client.get(url)).text)
        asyncio.get_running_loop().call_later(0.1, speaker.hangs.set)
        while told[-1][0] != "end":
            told += frames((await client.get(url)).text)
        again = await client.get(url)
        other = await client.get(url, headers={"x-credential": "another"})

    assert names(told).count("vertices_sorted") == 1
    assert names(told).count("end_vertex") == 3
    assert frames(again.text) == [("end", {})]
    assert frames(other.text) == told


async def test_a_poll_may_say_from_where() -> None:
    lab = Lab()
    async with serving(lab) as client:
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        await lab.runs.wait(run)
        version = (await lab.run(run)).version
        url = f"/build/{run}/events?event_delivery=polling"
        rest = await client.get(f"{url}&after={version - 1}")
        nothing = await client.get(f"{url}&after={version}")

    assert names(frames(rest.text)) == ["end"]
    assert frames(nothing.text) == [("end", {})]


async def test_a_poll_that_gives_way_to_others_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.polls.READERS", 1)
    monkeypatch.setattr("api.polls.GATHER", 0.1)  # all there is, on any machine
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    polls = Polls(lab.streams)
    async with serving(lab, polls) as client:
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hello")
        await speaker.started.wait()
        url = f"/build/{run}/events?event_delivery=polling"
        await client.get(url)
        waiting = asyncio.create_task(client.get(url))
        [reader] = polls._readers.values()
        await until(reader.turn.locked)
        other = await client.get(url, headers={"x-credential": "another"})
        async with asyncio.timeout(LONGEST / 2):
            answer = await waiting
        speaker.hangs.set()
        again = await client.get(url)

    assert (answer.status_code, answer.text) == (200, "")
    for full in (other, again):
        assert frames(full.text)[0][0] == "vertices_sorted"


async def test_hanging_up_does_not_cancel_a_run() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken())
        job = (await client.post(f"/build/{flow}/flow", json=HELLO)).json()["job_id"]
        await _hang_up(client, "GET", f"/build/{job}/events")
        await speaker.started.wait()
        await asyncio.sleep(0.2)
        speaker.hangs.set()
        ended = await lab.runs.wait(UUID(job))

    assert ended.status == "succeeded"


async def test_hanging_up_a_direct_delivery_cancels_its_run() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken())
        url = f"/build/{flow}/flow?event_delivery=direct"
        await _hang_up(client, "POST", url)
        async with asyncio.timeout(30):
            while lab.runs.going_on:
                await asyncio.sleep(0.02)

    assert speaker.cancelled


async def _hang_up(client: httpx.AsyncClient, method: str, url: str) -> None:
    body = {} if method == "GET" else {"json": HELLO}
    async with client.stream(method, url, **body) as answer:  # type: ignore[arg-type]
        async for _ in answer.aiter_bytes():
            return


async def test_a_cancelled_build_closes_its_stream_without_an_end() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken())
        job = (await client.post(f"/build/{flow}/flow", json=HELLO)).json()["job_id"]
        reading = asyncio.create_task(client.get(f"/build/{job}/events"))
        await speaker.started.wait()
        cancelled = await client.post(f"/build/{job}/cancel")
        events = await reading
        again = await client.post(f"/build/{job}/cancel")

    said = {"success": True, "message": "Flow build cancelled successfully"}
    assert cancelled.json() == again.json() == said
    assert "end" not in names(frames(events.text))


async def test_what_is_not_ones_own_is_not_there() -> None:
    lab = Lab()
    async with serving(lab) as client:
        flow = await lab.add(lab.echo())
        run = await lab.ask(flow, input_value="hello")
        stranger = {"x-user": str(uuid4())}
        build = await client.post(f"/build/{flow}/flow", json={}, headers=stranger)
        events = await client.get(f"/build/{run}/events", headers=stranger)
        cancel = await client.post(f"/build/{run}/cancel", headers=stranger)
        nothing = uuid4()
        unknown = await client.post(f"/build/{nothing}/flow", json={})

    assert build.status_code == events.status_code == cancel.status_code == 404
    assert unknown.json() == {"detail": f"Flow with id {nothing} not found"}
    said = f"Job not found: Job queue not found for job_id: {run}"
    assert events.json() == cancel.json() == {"detail": said}


async def test_a_body_may_be_empty_or_missing_but_not_wrong() -> None:
    lab = Lab()
    async with serving(lab) as client:
        url = f"/build/{await lab.add(lab.echo())}/flow"
        good = [await client.post(url, json={}), await client.post(url)]
        bad = [
            await client.post(url, json={"inputs": {"unknown": 1}}),
            await client.post(url, json={"inputs": {"session": 7}}),
            await client.post(url, json={"inputs": {"session": "a\x00b"}}),
            await client.post(url, json={"inputs": {"type": "sound"}}),
            await client.post(url, json={"data": {"nodes": []}}),
            await client.post(url, content=b"{"),
            await client.post(f"{url}?event_delivery=pigeon", json={}),
            await client.post("/build/nobody/flow", json={}),
        ]

    assert [one.status_code for one in good] == [200, 200]
    assert [one.status_code for one in bad[:-1]] == [422] * 7
    assert bad[-1].status_code in {404, 422}


async def test_a_full_server_asks_to_come_back() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker, limits=Limits(running=1, queued=1, grace=0.1))
    async with serving(lab) as client:
        flow = await lab.add(lab.spoken())
        answers = [
            await client.post(f"/build/{flow}/flow", json=HELLO) for _ in range(3)
        ]
        speaker.hangs.set()
        for answer in answers[:2]:
            ended = await lab.runs.wait(UUID(answer.json()["job_id"]))
            assert ended.status == "succeeded"

    assert [one.status_code for one in answers] == [200, 200, 503]
    assert answers[2].headers["retry-after"] == "1"
