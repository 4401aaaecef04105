"""Who comes late, or comes back, is told the text so far, and every piece once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import UUID

import msgspec
import pytest

from api.hearing import Hearing
from application.execution import speech
from application.execution.speech import Opened, Speech, Token, Word, channel, read
from infrastructure.signals import memory
from infrastructure.signals.memory import MemorySignals
from tests.application.lab import Lab, Scripted

MESSAGE = {"id": "m", "text": "", "timestamp": "now"}
RUN = UUID(int=7)


def opened() -> Opened:
    return Opened(at=1, vertex="model", message=MESSAGE)


def token(offset: int, chunk: str, message: str = "m") -> Token:
    return Token(at=1, message=message, offset=offset, chunk=chunk, timestamp="now")


def test_pieces_that_wait_for_a_reader_are_one_piece() -> None:
    hearing = Hearing()

    first = hearing.take([opened(), token(0, "One "), token(4, "two ")])
    then = hearing.take([token(8, "three"), opened()])

    assert first == [opened(), token(0, "One two ")]
    assert then == [token(8, "three")]


def test_of_what_is_told_again_only_the_rest_is_new() -> None:
    hearing = Hearing()
    hearing.take([opened(), token(0, "One ")])

    assert hearing.take([opened(), token(0, "One ")]) == []
    assert hearing.take([opened(), token(0, "One two ")]) == [token(4, "two ")]


def test_a_reader_who_missed_a_piece_hears_the_rest_once_the_text_is_told_again() -> (
    None
):
    hearing = Hearing()
    hearing.take([opened(), token(0, "One ")])

    assert hearing.take([token(8, "three ")]) == []
    again = hearing.take([opened(), token(0, "One two three "), token(14, "four")])
    assert again == [token(4, "two three four")]


def test_a_reader_who_did_not_hear_it_begin_waits_until_it_is_told_again() -> None:
    hearing = Hearing()

    assert hearing.take([token(4, "two ")]) == []
    assert hearing.take([opened(), token(0, "One two ")]) == [
        opened(),
        token(0, "One two "),
    ]


def test_nothing_is_heard_of_a_message_that_is_finished() -> None:
    hearing = Hearing()
    hearing.take([opened(), token(0, "One ")])
    hearing.finish("m")

    assert hearing.take([token(4, "two "), opened(), token(0, "One two ")]) == []


def test_messages_that_are_spoken_at_once_are_kept_apart() -> None:
    other = Opened(at=1, vertex="other", message=MESSAGE | {"id": "n"})
    words: list[Word] = [opened(), other, token(0, "One "), token(0, "Uno ", "n")]
    words.append(token(4, "two"))

    assert Hearing().take(words) == words


async def test_a_text_longer_than_the_tail_is_heard_whole_by_who_comes_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "LONGEST_TAIL", 20)
    monkeypatch.setattr(speech, "TOLD_AGAIN", 5)
    monkeypatch.setattr(speech, "PAUSE", 0)
    signals, hearing = MemorySignals(), Hearing()
    said = Speech(signals, RUN, vertex="v", message=MESSAGE, version=lambda: 1)
    for number in range(100):
        await said.token(f"{number} ")
        await said._flush()
    await said.close()

    words = [read(word) for word in signals._channel(channel(RUN)).tail]
    heard = hearing.take(words)

    assert len(words) == 20
    assert [type(one) for one in heard] == [Opened, Token]
    assert heard[1] == token(0, "".join(f"{number} " for number in range(100)))


async def spoken_at(lab: Lab, run: UUID) -> int:
    """Wait until a run has said “two ”; return after which event."""
    async with aclosing(lab.streams.watch(run)) as watched:
        async for item in watched:
            if isinstance(item, Token) and item.chunk.endswith("two "):
                return item.at
    raise AssertionError


@pytest.fixture
async def speaking() -> AsyncIterator[tuple[Lab, Scripted, UUID, int]]:
    """A run whose model has said “One two ” and goes on when it is let."""
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hi", stream=True)
        yield lab, speaker, run, await spoken_at(lab, run)


type Speaking = tuple[Lab, Scripted, UUID, int]


async def tokens(lines: Any, *, upto: str) -> list[str]:
    """Return the pieces that come, until together they are *upto*."""
    pieces: list[str] = []
    async with asyncio.timeout(20), aclosing(lines) as stream:
        async for line in stream:
            for part in line.decode().strip().split("\n"):
                frame = part.removeprefix("data: ")
                if not frame.startswith("{"):
                    continue
                told = msgspec.json.decode(frame)
                if told.get("event") == "token":
                    pieces.append(told["data"]["chunk"])
                elif told.get("kind") == "token":
                    assert told["offset"] == len("".join(pieces))
                    pieces.append(told["chunk"])
            if "".join(pieces) == upto:
                break
    return pieces


@pytest.mark.parametrize("door", ["build", "run", "events", "events after"])
async def test_the_text_so_far_comes_at_once_and_the_rest_as_it_is_said(
    speaking: Speaking, door: str
) -> None:
    lab, speaker, run, version = speaking

    def follow() -> Any:
        match door:
            case "build":
                return lab.streams.build_events(run)
            case "run":
                return lab.streams.run_stream(run)
            case "events":
                return lab.streams.events(run)
            case _:
                return lab.streams.events(run, after=version)

    late = await tokens(follow(), upto="One two ")
    assert speaker.hangs is not None
    to_the_end = asyncio.create_task(tokens(follow(), upto="One two three four"))
    again = await tokens(follow(), upto="One two ")
    speaker.hangs.set()

    assert late == again == ["One two "]
    assert "".join(await to_the_end) == "One two three four"


async def test_who_comes_back_is_not_told_again_of_messages_that_are_finished() -> None:
    first, second = Scripted("First"), Scripted("Second")
    second.hangs = asyncio.Event()
    lab = Lab(first, second)
    async with lab.open():
        run = await lab.ask(await lab.add(_two(lab)), input_value="hi", stream=True)
        version = await spoken_at(lab, run)
        whole = await tokens(lab.streams.build_events(run), upto="three fourOne two ")
        back = await tokens(lab.streams.events(run, after=version), upto="One two ")

    assert "".join(whole) == "three fourOne two "
    assert back == ["One two "]


def _two(lab: Lab) -> Any:
    drawing = lab.draw()
    heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
    one = drawing.place("First-m", "First", (1, 0))
    said = drawing.place("ChatOutput-b", "ChatOutput", (2, 0))
    two = drawing.place("Second-m", "Second", (3, 0))
    too = drawing.place("ChatOutput-c", "ChatOutput", (4, 0))
    drawing.connect(heard, "message", one, "input_value")
    drawing.connect(one, "text_output", said, "input_value")
    drawing.connect(said, "message", two, "input_value")
    drawing.connect(two, "text_output", too, "input_value")
    return drawing.document()
