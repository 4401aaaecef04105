"""Chat over a WebSocket: runs, their tokens and messages, and coming back to them."""

from typing import Any
from uuid import uuid4

import pytest

from api.composition import Application
from tests.api.conftest import Person
from tests.api.talking import Talk, bearing, kinds, starter, talking

CHAT = "/api/v1/chat"


def text_of(frames: list[dict[str, Any]]) -> str:
    """Put tokens together as a client does: by where each one belongs."""
    text = ""
    for frame in frames:
        if frame["type"] == "stream":
            text = ""
        if frame["type"] == "token":
            offset, chunk = frame["data"]["offset"], frame["data"]["chunk"]
            text = text[:offset] + chunk
    return text


async def asked(talk: Talk, flow: str, words: str, **more: Any) -> list[dict[str, Any]]:
    await talk.say(type="message", flow_id=flow, message=words, **more)
    return await talk.until("end")


async def test_a_message_is_answered_by_tokens_messages_and_an_end(
    address: str, ada: Person
) -> None:
    flow = await starter(ada, "Basic Prompting")
    async with talking(address, f"{CHAT}/page-1", headers=bearing(ada)) as talk:
        heard = await asked(talk, flow, "tell me something", id="m1")

    start, first, *told, end = heard
    assert start == {
        "type": "start",
        "run_id": start["run_id"],
        "flow_id": flow,
        "session_id": "page-1",
        "id": "m1",
    }
    assert (first["type"], first["data"]["sender"]) == ("message", "User")
    assert kinds(told)[0] == "stream"
    assert kinds(told)[-1] == "message"
    assert text_of(told) == told[-1]["data"]["text"] != ""
    assert end["status"] == "succeeded"
    positions = [frame["position"] for frame in heard[1:]]
    assert positions == sorted(positions)
    said = await ada.get("/api/v1/monitor/messages?session_id=page-1")
    assert [one["text"] for one in said.json()][-1] == told[-1]["data"]["text"]


async def test_a_flow_may_be_named_at_the_door_and_the_run_says_it_was_a_chat(
    address: str, ada: Person
) -> None:
    flow = await starter(ada, "Words in a Template")
    async with talking(
        address, f"{CHAT}/c?flow_id={flow}&session_id=mine", headers=bearing(ada)
    ) as talk:
        await talk.say(message="hello")
        heard = await talk.until("end")

    run = (await ada.get(f"/api/v1/runs/{heard[0]['run_id']}")).json()
    assert (run["trigger"], run["session"]) == ("chat", "mine")
    assert heard[0]["flow_id"] == flow


async def test_whoever_comes_back_is_told_the_rest_and_nothing_twice(
    address: str, ada: Person
) -> None:
    flow = await starter(ada, "Basic Prompting")
    async with talking(address, f"{CHAT}/back", headers=bearing(ada)) as talk:
        whole = (await asked(talk, flow, "a story, please"))[1:]
    run = whole[0]["run_id"]

    for position in sorted({frame["position"] for frame in whole} | {0, 999}):
        async with talking(address, f"{CHAT}/back", headers=bearing(ada)) as talk:
            await talk.say(type="resume", run_id=run, after=position)
            rest = await talk.until("end")
        told = [f for f in whole if f["position"] > position and f["type"] == "message"]
        assert [f for f in rest if f["type"] == "message"] == told
        assert rest[-1]["status"] == "succeeded"


async def test_a_message_said_again_under_its_id_runs_once(
    address: str, ada: Person
) -> None:
    flow, name = await starter(ada, "Words in a Template"), uuid4().hex
    runs = set()
    for _ in range(2):
        async with talking(address, f"{CHAT}/again", headers=bearing(ada)) as talk:
            runs.add((await asked(talk, flow, "once", id=name))[0]["run_id"])
    async with talking(address, f"{CHAT}/again", headers=bearing(ada)) as talk:
        await talk.say(type="message", flow_id=flow, message="other", id=name)
        refused = await talk.hear()

    assert len(runs) == 1
    assert (refused["type"], refused["code"]) == ("error", "IdempotencyKeyReused")
    assert refused["id"] == name


async def test_a_run_can_be_cancelled_by_another_socket(
    address: str, ada: Person, application: Application
) -> None:
    flow = await starter(ada, "Basic Prompting")
    async with (
        talking(address, f"{CHAT}/one", headers=bearing(ada)) as talk,
        talking(address, f"{CHAT}/two", headers=bearing(ada)) as other,
    ):
        await talk.say(type="message", flow_id=flow, message="word " * 2_000)
        start = await talk.hear()
        await other.say(type="cancel", run_id=start["run_id"])
        heard = await talk.until("end")

    assert heard[-1]["status"] == "cancelled"
    assert (await ada.get(f"/api/v1/runs/{start['run_id']}")).json()[
        "status"
    ] == "cancelled"


@pytest.mark.parametrize(
    "said",
    [
        "not json",
        "[1]",
        "[" * 20_000,
        '{"type": "unknown"}',
        '{"type": "message", "message": 7}',
        '{"type": "resume", "run_id": "no id"}',
        f'{{"type": "resume", "run_id": "{uuid4()}", "after": -1}}',
        f'{{"type": "message", "message": "x", "session_id": "{"s" * 501}"}}',
    ],
    ids=range(8),
)
async def test_what_is_no_message_is_refused_and_the_line_stays_open(
    address: str, ada: Person, said: str
) -> None:
    async with talking(address, f"{CHAT}/odd", headers=bearing(ada)) as talk:
        await talk.socket.send(said)
        refused = await talk.hear()
        await talk.say(type="ping")
        pong = await talk.hear()

    assert (refused["type"], refused["code"]) == ("error", "NotAMessage")
    assert pong == {"type": "pong"}


async def test_another_ones_flows_and_runs_are_not_there(
    address: str, ada: Person, bob: Person
) -> None:
    flow = await starter(ada, "Words in a Template")
    async with talking(address, f"{CHAT}/hers", headers=bearing(ada)) as talk:
        run = (await asked(talk, flow, "mine"))[0]["run_id"]
    async with talking(address, f"{CHAT}/hers", headers=bearing(bob)) as talk:
        refusals = []
        for kind in ("resume", "cancel"):
            for wanted in (run, str(uuid4())):
                await talk.say(type=kind, run_id=wanted)
                refusals.append(await talk.hear())
        for wanted in (flow, str(uuid4()), "no-such-name"):
            await talk.say(type="message", flow_id=wanted, message="mine?")
            refusals.append(await talk.hear())

    assert [one["code"] for one in refusals] == ["NotFound"] * 7
    assert [one["message"] for one in refusals] == [
        *["Job not found"] * 4,
        *["Flow not found"] * 3,
    ]


async def test_a_run_is_followed_once_and_only_so_many_at_a_time(
    address: str, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.v1.chat.AT_ONCE", 1)
    flow = await starter(ada, "Basic Prompting")
    async with talking(address, f"{CHAT}/many", headers=bearing(ada)) as talk:
        await talk.say(type="message", flow_id=flow, message="word " * 2_000)
        run = (await talk.hear())["run_id"]
        await talk.say(type="resume", run_id=run)
        twice = (await talk.until("error"))[-1]
        await talk.say(type="message", flow_id=flow, message="more")
        more = (await talk.until("error"))[-1]
        await talk.say(type="cancel", run_id=run)
        await talk.until("end")

    assert (twice["code"], more["code"]) == ("AlreadyFollowed", "TooManyFollowed")
