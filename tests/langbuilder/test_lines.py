"""Bad lines: answers that are lost, and streams that are cut again and again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from langbuilder import (
    AsyncClient,
    Client,
    ConnectionFailedError,
    Retries,
    RunEvent,
    TextDelta,
)
from tests.langbuilder.conftest import KINDS
from tests.langbuilder.hands import Hand, Line, anywhere, line_to
from tests.langbuilder.test_runs import flow_named

IMPATIENT = Retries(most=8, first=0.001, longest=0.005)
READERS = 6
CROWD = 30
CUTS = 1000


@pytest.fixture
async def hand(address: str, key: str) -> AsyncIterator[Hand]:
    """Her client on a good line, to see what came of it."""
    hand = Hand(AsyncClient(address, api_key=key))
    yield hand
    await hand.close()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Client] | type[AsyncClient]:
    return KINDS[request.param]


def at_first(number: int, bytes_: int) -> Any:
    """Return a budget that lets the first *number* lines pass so much."""
    left: Iterator[int | None] = iter([bytes_] * number)
    return lambda: next(left, None)


@pytest.mark.parametrize("passes", [0, 40], ids=["nothing", "half-a-head"])
async def test_a_start_whose_answer_is_lost_starts_one_run(
    kind: type[Client], address: str, key: str, passes: int, hand: Hand
) -> None:
    flow, session = await flow_named(hand, "Words in a Template"), uuid4().hex
    async with line_to(address, at_first(3, passes)) as (line, near):
        far = Hand(kind(near, api_key=key, retries=IMPATIENT))

        run = await far.do(far.client.runs.start, flow, "Hello", session=session)
        result = await far.do(far.client.runs.wait, run)

        await far.close()
        assert line.cuts == 3
    assert "Hello" in result.text
    runs = await hand.all(hand.client.runs.list(flow))
    assert [one.id for one in runs if one.session_id == session] == [run]


async def test_a_run_whose_answer_is_lost_is_one_run(
    kind: type[Client], address: str, key: str, hand: Hand
) -> None:
    flow, session = await flow_named(hand, "Words in a Template"), uuid4().hex
    async with line_to(address, at_first(4, 100)) as (line, near):
        far = Hand(kind(near, api_key=key, retries=IMPATIENT))

        result = await far.do(far.client.runs.run, flow, "Hello", session=session)

        await far.close()
        assert line.cuts == 4
    runs = await hand.all(hand.client.runs.list(flow))
    assert [one.id for one in runs if one.session_id == session] == [result.run_id]


async def test_a_flow_whose_answer_is_lost_is_created_once(
    kind: type[Client], address: str, key: str, hand: Hand
) -> None:
    name = f"Lost {uuid4().hex}"
    async with line_to(address, at_first(3, 10)) as (_, near):
        far = Hand(kind(near, api_key=key, retries=IMPATIENT))
        flow = await far.do(far.client.flows.create, name)
        await far.do(far.client.flows.delete, flow)
        again = await far.do(far.client.flows.create, name)
        await far.close()

    headers = await hand.do(hand.client.flows.headers)
    assert [one.name for one in headers if one.name.startswith(name)] == [name]
    await hand.do(hand.client.flows.delete, again)


def proves_whole(events: list[Any], stream: Any) -> None:
    """See that each event came once and in order, and each character too."""
    versions = [one.version for one in events if isinstance(one, RunEvent)]
    assert versions == list(range(1, stream.version + 1))
    words = [one.text for one in events if isinstance(one, TextDelta)]
    assert "".join(words) == stream.result.text
    messages = Counter(one.message_id for one in events if isinstance(one, TextDelta))
    assert len(messages) == 1


async def followed(
    kind: type[Client], near: str, key: str, flow: UUID, number: int
) -> int:
    """Run *flow* over a bad line and watch it; return the pieces its words came in."""
    text = f"{number}: " + "ten words that come back, each of them just once " * 2
    hand = Hand(kind(near, api_key=key, retries=IMPATIENT))
    stream = hand.client.runs.stream(flow, text, session=uuid4().hex)
    events = await hand.entered(stream, lambda entered: entered)
    await hand.close()
    assert text.strip() in stream.result.text
    proves_whole(events, stream)
    return sum(isinstance(one, TextDelta) for one in events)


async def over_bad_lines(
    kind: type[Client], address: str, key: str, flow: UUID, *, readers: int, seed: int
) -> tuple[Line, list[int]]:
    async with line_to(address, anywhere(seed)) as (line, near):
        pieces = await asyncio.gather(
            *(followed(kind, near, key, flow, number) for number in range(readers))
        )
    return line, pieces


@pytest.mark.slow
async def test_a_stream_that_is_cut_all_the_time_loses_and_repeats_nothing(
    kind: type[Client], address: str, key: str, hand: Hand
) -> None:
    flow = await flow_named(hand, "Basic Prompting")

    line, pieces = await over_bad_lines(
        kind, address, key, flow, readers=READERS, seed=20261126
    )

    assert line.cuts > 3 * READERS
    # Not all at the end: words come as they are said, on whatever line.
    assert min(pieces) > 1
    print(f"{line.cuts} cuts of {line.connections} lines, {pieces} pieces of words")


@pytest.mark.chaos
@pytest.mark.timeout(600)
async def test_a_thousand_cuts_lose_and_repeat_nothing(
    kind: type[Client], address: str, key: str, hand: Hand
) -> None:
    flow = await flow_named(hand, "Basic Prompting")
    cuts = seed = 0
    while cuts < CUTS:
        line, _ = await over_bad_lines(
            kind, address, key, flow, readers=CROWD, seed=seed
        )
        cuts, seed = cuts + line.cuts, seed + 1
    print(f"{cuts} cuts, {seed * CROWD} runs")


async def test_a_reader_gives_up_on_a_server_that_is_gone(
    kind: type[Client], address: str, key: str, hand: Hand, monkeypatch: Any
) -> None:
    monkeypatch.setattr("langbuilder.streams.PATIENCE", 0.05)
    flow = await flow_named(hand, "Basic Prompting")
    async with line_to(address, lambda: 4000) as (_, near):
        far = Hand(kind(near, api_key=key, retries=IMPATIENT))
        stream = far.client.runs.stream(flow, "Hello " * 100)
        await far.first(stream, 3)
    with pytest.raises(ConnectionFailedError, match="server running"):
        await far.all(stream)
    await hand.do(hand.client.runs.cancel, stream.run_id)
    await far.close()
