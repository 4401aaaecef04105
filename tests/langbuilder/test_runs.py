"""Runs by the client, on a whole server."""

from uuid import UUID

import pytest

from langbuilder import (
    MessageEmitted,
    NotFoundError,
    Result,
    RunCancelledError,
    RunFailedError,
    RunSucceeded,
    TextDelta,
    TimedOutError,
    ValidationError,
)
from tests.langbuilder.hands import Hand

LONG = "word " * 150


async def flow_named(hand: Hand, name: str) -> UUID:
    headers = await hand.do(hand.client.flows.headers)
    found: UUID = next(one.id for one in headers if one.name == name)
    return found


@pytest.fixture
async def talkative(hand: Hand) -> UUID:
    """A flow whose model speaks word by word."""
    return await flow_named(hand, "Basic Prompting")


@pytest.fixture
async def quiet(hand: Hand) -> UUID:
    """A flow without a model, which answers at once."""
    return await flow_named(hand, "Words in a Template")


async def test_a_run_comes_to_a_result(hand: Hand, talkative: UUID) -> None:
    result: Result = await hand.do(
        hand.client.runs.run, talkative, "Hello", session="results"
    )

    assert "“Hello”" in result.text
    assert result.session_id == "results"
    assert [one.component_display_name for one in result.outputs] == ["Chat Output"]
    assert [one.text for one in result.messages] == [result.text]
    run = await hand.do(hand.client.runs.get, result.run_id)
    assert (run.status, run.ended, run.flow_id) == ("succeeded", True, talkative)


async def test_a_flow_runs_by_its_endpoint_name(hand: Hand, quiet: UUID) -> None:
    name = f"by-name-{hand.blocks}"
    flow = await hand.do(hand.client.flows.get, quiet)
    await hand.do(hand.client.flows.update, flow, endpoint_name=name)

    result = await hand.do(hand.client.runs.run, name, "Hello")
    run = await hand.do(hand.client.runs.start, name, "Hello again")
    waited = await hand.do(hand.client.runs.wait, run)

    assert "“Hello”" in result.text
    assert "“Hello again”" in waited.text


async def test_a_stream_tells_events_words_and_the_result(
    hand: Hand, talkative: UUID
) -> None:
    stream = hand.client.runs.stream(talkative, "Hello there", session="watched")

    events = await hand.entered(stream, lambda entered: entered)

    assert [one.version for one in events if hasattr(one, "version")] == list(
        range(1, stream.version + 1)
    )
    assert isinstance(events[-1], RunSucceeded)
    words = [one.text for one in events if isinstance(one, TextDelta)]
    assert len(words) > 3
    assert "".join(words) == stream.result.text
    answers = [one for one in events if isinstance(one, MessageEmitted)]
    assert [one.message.text for one in answers if one.message] == [
        "Hello there",
        stream.result.text,
    ]


async def test_the_words_alone_are_the_text(hand: Hand, talkative: UUID) -> None:
    stream = hand.client.runs.stream(talkative, "Hello")

    words = await hand.entered(stream, lambda entered: entered.text)

    assert len(words) > 3
    assert "".join(words) == stream.result.text


async def test_what_was_read_in_part_can_be_waited_for(
    hand: Hand, talkative: UUID
) -> None:
    stream = hand.client.runs.stream(talkative, "Hello")
    await hand.first(stream, 3)

    result = await hand.do(stream.wait)

    assert "“Hello”" in result.text
    rest = await hand.all(stream)
    assert [one.version for one in rest if getattr(one, "version", 0) > 3] == []


async def test_a_run_is_watched_from_anywhere_in_it(hand: Hand, quiet: UUID) -> None:
    run = await hand.do(hand.client.runs.start, quiet, "Hello")
    result = await hand.do(hand.client.runs.wait, run)

    whole = await hand.all(hand.client.runs.events(run))
    rest = await hand.all(hand.client.runs.events(run, after=3))
    last = whole[-1].version
    nothing = await hand.all(hand.client.runs.events(run, after=last))

    told = [one for one in whole if not isinstance(one, TextDelta)]
    assert [one for one in rest if not isinstance(one, TextDelta)] == told[3:]
    assert whole[-1].result == result
    assert nothing == []


async def test_a_run_that_fails_says_why(hand: Hand, talkative: UUID) -> None:
    flow = await hand.do(hand.client.flows.get, talkative)
    data = flow.data
    for node in data["nodes"]:
        template = node["data"]["node"]["template"]
        if "provider" in template:
            template["provider"]["value"] = "OpenAI"
    broken = await hand.do(hand.client.flows.create, "No key", data=data)

    with pytest.raises(RunFailedError, match="key") as by_run:
        await hand.do(hand.client.runs.run, broken, "Hello")
    stream = hand.client.runs.stream(broken, "Hello")
    await hand.all(stream)
    with pytest.raises(RunFailedError, match="key") as by_stream:
        stream.result  # noqa: B018 - it raises

    assert by_run.value.run_id != by_stream.value.run_id
    assert by_stream.value.reason
    assert by_run.value.message == by_stream.value.message


async def test_a_run_is_cancelled(hand: Hand, talkative: UUID) -> None:
    run = await hand.do(hand.client.runs.start, talkative, LONG)

    await hand.do(hand.client.runs.cancel, run)

    with pytest.raises(RunCancelledError) as cancelled:
        await hand.do(hand.client.runs.wait, run)
    assert cancelled.value.run_id == run
    await hand.do(hand.client.runs.cancel, run)
    assert (await hand.do(hand.client.runs.get, run)).status == "cancelled"


async def test_who_does_not_want_to_wait_leaves_the_run_going_on(
    hand: Hand, talkative: UUID
) -> None:
    session = f"impatient-{hand.blocks}"

    with pytest.raises(TimedOutError, match="in time"):
        await hand.do(
            hand.client.runs.run,
            talkative,
            LONG,
            session=session,
            tweaks={"stream": True},
            timeout=0.2,
        )

    [run] = [
        one
        for one in await hand.all(hand.client.runs.list(talkative))
        if one.session_id == session
    ]
    await hand.do(hand.client.runs.cancel, run)


async def test_a_start_with_the_same_key_is_the_same_run(
    hand: Hand, quiet: UUID
) -> None:
    key = f"only-once-{hand.blocks}"
    starts = [
        await hand.do(hand.client.runs.start, quiet, "Hello", key=key) for _ in range(3)
    ]

    assert len(set(starts)) == 1
    with pytest.raises(ValidationError):
        await hand.do(hand.client.runs.start, quiet, "Another", key=key)


async def test_runs_are_listed_newest_first_page_by_page(
    hand: Hand, quiet: UUID
) -> None:
    runs = [await hand.do(hand.client.runs.start, quiet, str(n)) for n in range(3)]
    for run in runs:
        await hand.do(hand.client.runs.wait, run)

    listed = await hand.all(hand.client.runs.list(quiet, page_size=2))

    assert [one.id for one in listed[:3]] == runs[::-1]
    assert len({one.id for one in listed}) == len(listed)


async def test_tweaks_reach_the_vertices(hand: Hand, quiet: UUID) -> None:
    flow = await hand.do(hand.client.flows.get, quiet)
    [prompt] = [one["id"] for one in flow.data["nodes"] if "Prompt" in one["id"]]
    tweaks = {prompt: {"template": "Tweaked"}}

    result = await hand.do(hand.client.runs.run, flow, "x", tweaks=tweaks)

    assert result.text == "Tweaked"


async def test_a_run_of_nothing_is_refused(hand: Hand) -> None:
    with pytest.raises(NotFoundError, match="no-such-flow"):
        await hand.do(hand.client.runs.run, "no-such-flow", "Hello")
    with pytest.raises(NotFoundError, match="no-such-flow"):
        await hand.do(hand.client.runs.start, "no-such-flow", "Hello")
    with pytest.raises(NotFoundError):
        await hand.do(hand.client.runs.wait, UUID(int=7))
