"""A run's stream, cut anywhere and taken up again, is told once and in order."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from langbuilder import (
    MessageEmitted,
    MessageWithdrawn,
    OtherEvent,
    RunFailed,
    RunSucceeded,
    StreamEvent,
    TextDelta,
    UnreadableAnswerError,
)
from langbuilder.following import Follower, Frames, GapError

RUN, FLOW, MESSAGE = UUID(int=1), UUID(int=2), UUID(int=3)
AT = "2026-11-25T10:00:00Z"
TEXT = "Žluťoučký kůň said 🐎 hello"


def event(version: int, tag: str, data: Any = None, content: Any = None) -> bytes:
    told = {
        "version": version,
        "type": tag,
        "at": AT,
        "data": data or {},
        "content": content,
    }
    said = json.dumps(told, ensure_ascii=False)
    return f"id: {version}\nevent: {tag}\ndata: {said}\n\n".encode()


def token(offset: int, chunk: str) -> bytes:
    told = {"kind": "token", "at": 2, "message": str(MESSAGE), "offset": offset}
    said = json.dumps(told | {"chunk": chunk}, ensure_ascii=False)
    return f"event: token\ndata: {said}\n\n".encode()


def emitted(version: int, text: str, sender: str = "Machine") -> bytes:
    content = {"id": str(MESSAGE), "text": text, "sender": sender}
    data = {"message": str(MESSAGE), "vertex": "Out", "category": "message"}
    return event(version, "run.message_emitted", data, content)


REQUESTED = event(1, "run.requested", {"flow": str(FLOW), "session": "s"})
CLAIMED = event(2, "run.claimed", {"worker": "w", "attempt": 1})
SUCCEEDED = event(4, "run.succeeded")
PIECES = [TEXT[i : i + 4] for i in range(0, len(TEXT), 4)]
TOKENS = [token(4 * number, piece) for number, piece in enumerate(PIECES)]
WHOLE = [REQUESTED, CLAIMED, *TOKENS, emitted(3, TEXT), SUCCEEDED]


def told(follower: Follower, *pieces: bytes) -> list[StreamEvent]:
    frames = Frames()
    return [
        one
        for piece in pieces
        for frame in frames.feed(piece)
        for one in follower.take(frame)
    ]


def text_of(events: list[StreamEvent]) -> str:
    return "".join(one.text for one in events if isinstance(one, TextDelta))


def versions(events: list[StreamEvent]) -> list[int]:
    return [version for one in events if (version := getattr(one, "version", 0))]


@given(st.lists(st.integers(min_value=1, max_value=700), max_size=30))
def test_where_a_stream_is_cut_into_pieces_makes_no_difference(
    sizes: list[int],
) -> None:
    stream = b": still here\n\nretry: 1000\n\n" + b"".join(WHOLE)
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]

    assert told(Follower(RUN), *pieces, stream) == told(Follower(RUN), *WHOLE)


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 9)), max_size=12))
def test_whatever_connections_lose_each_event_and_character_comes_once(
    connections: list[tuple[int, int]],
) -> None:
    follower = Follower(RUN)
    events: list[StreamEvent] = []
    spoken = 0
    # A connection gets the events after the last one seen, the tokens that are said
    # while it lasts, and is cut anywhere.
    for far, words in [*connections, (10**6, len(TOKENS))]:
        rest = [WHOLE[at] for at in (0, 1) if at >= follower.version]
        rest += TOKENS[spoken : spoken + words]
        spoken += words
        if spoken >= len(TOKENS):
            rest += [emitted(3, TEXT)] * (follower.version < 3)
            rest += [SUCCEEDED] * (follower.version < 4)
        events += told(follower, b"".join(rest)[:far])
    events += told(follower, *(WHOLE[:2] + WHOLE[-2:])[follower.version :])

    assert text_of(events) == TEXT
    assert versions(events) == [1, 2, 3, 4]


def test_tokens_that_overlap_what_was_said_give_only_the_rest() -> None:
    events = told(
        Follower(RUN), REQUESTED, token(0, "Goo"), token(1, "ood"), token(0, "Goods")
    )

    assert text_of(events) == "Goods"


def test_after_a_missed_token_the_rest_comes_with_the_finished_message() -> None:
    follower = Follower(RUN)
    events = told(
        follower, REQUESTED, CLAIMED, token(0, "He"), token(4, "o"), emitted(3, "Hello")
    )
    late = told(follower, token(0, "Hello"))

    assert [one.text for one in events if isinstance(one, TextDelta)] == ["He", "llo"]
    assert late == []


def test_what_was_said_otherwise_than_it_ended_is_withdrawn() -> None:
    events = told(
        Follower(RUN), REQUESTED, CLAIMED, token(0, "Well"), emitted(3, "Hello")
    )

    assert [type(one) for one in events[-4:]] == [
        TextDelta,
        MessageWithdrawn,
        TextDelta,
        MessageEmitted,
    ]
    assert text_of(events[-2:]) == "Hello"


def test_what_was_begun_when_a_run_failed_is_withdrawn() -> None:
    failed = event(3, "run.failed", {"reason": "model"}, {"message": "No model"})
    events = told(Follower(RUN), REQUESTED, CLAIMED, token(0, "We"), failed)

    withdrawn, end = events[-2:]
    assert withdrawn == MessageWithdrawn(message_id=MESSAGE)
    assert isinstance(end, RunFailed)
    assert (end.reason, end.message) == ("model", "No model")


def test_what_people_say_is_no_answer() -> None:
    events = told(Follower(RUN), REQUESTED, CLAIMED, emitted(3, "Hello?", "User"))

    assert text_of(events) == ""
    assert isinstance(events[-1], MessageEmitted)


def test_an_event_whose_content_was_deleted_is_told_without() -> None:
    data = {"message": str(MESSAGE), "vertex": "Out", "category": "message"}
    events = told(
        Follower(RUN), REQUESTED, CLAIMED, event(3, "run.message_emitted", data)
    )

    assert isinstance(events[-1], MessageEmitted)
    assert events[-1].message is None


def test_an_event_of_a_newer_server_is_told_as_it_is() -> None:
    tea = event(2, "run.tea_served", {"cups": 2}, {"kind": "oolong"})
    events = told(Follower(RUN), REQUESTED, tea)

    assert isinstance(events[-1], OtherEvent)
    assert (events[-1].data, events[-1].content) == ({"cups": 2}, {"kind": "oolong"})


def test_a_gap_is_noticed() -> None:
    follower = Follower(RUN)
    told(follower, REQUESTED)

    with pytest.raises(GapError):
        told(follower, SUCCEEDED)

    assert follower.version == 1


def test_without_outputs_the_result_is_what_was_said() -> None:
    events = told(Follower(RUN), *WHOLE)

    assert isinstance(events[-1], RunSucceeded)
    assert events[-1].result.text == TEXT
    assert events[-1].result.session_id == "s"


def test_what_is_no_event_is_an_error_with_a_hint() -> None:
    with pytest.raises(UnreadableAnswerError, match="address of LangBuilder"):
        told(Follower(RUN), b"event: run.claimed\ndata: <html>\n\n")
