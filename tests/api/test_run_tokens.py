"""Tokens may be lost or late: what a reader sees of a message is whole all the same."""

from typing import Any

from api.chat_events import Spoken
from api.polls import Polls
from api.streams import RunStreams
from application.execution.speech import Opened, Token
from tests.application.lab import Lab, UpToDate, names

MESSAGE = {"id": "m", "text": "", "timestamp": "now"}
WHOLE = {"id": "m", "text": "One two three", "timestamp": "now"}


def opened() -> Opened:
    return Opened(at=1, vertex="model", message=MESSAGE)


def token(offset: int, chunk: str) -> Token:
    return Token(at=1, message="m", offset=offset, chunk=chunk, timestamp="now")


def heard(*words: Opened | Token) -> tuple[Spoken, list[tuple[str, Any]]]:
    spoken = Spoken()
    return spoken, [frame for word in words for frame in spoken.hear(word)]


def test_a_reader_who_heard_all_is_told_nothing_again() -> None:
    spoken, told = heard(opened(), token(0, "One two "), token(8, "three"))

    assert names(told) == ["add_message", "token", "token"]
    assert spoken.finish("m", WHOLE) == []


def test_a_reader_who_missed_the_last_words_gets_them() -> None:
    spoken, _ = heard(opened(), token(0, "One two "))

    [(name, data)] = spoken.finish("m", WHOLE)

    assert (name, data["chunk"]) == ("token", "three")


def test_a_reader_who_missed_words_in_the_middle_gets_the_message_whole() -> None:
    spoken, told = heard(opened(), token(0, "One "), token(8, "three"))

    assert names(told) == ["add_message", "token"]
    assert spoken.finish("m", WHOLE) == [("add_message", WHOLE)]


def test_a_reader_who_heard_a_word_twice_is_told_it_once() -> None:
    _, told = heard(opened(), token(0, "One "), token(0, "One "), token(4, "two"))

    assert [data["chunk"] for name, data in told if name == "token"] == ["One ", "two"]


def test_a_reader_who_did_not_hear_the_beginning_gets_the_message_whole() -> None:
    spoken, told = heard(token(4, "two "))

    assert told == []
    assert spoken.finish("m", WHOLE) == [("add_message", WHOLE)]


def test_words_that_come_after_the_message_are_not_told() -> None:
    spoken, _ = heard(opened(), token(0, "One "))
    spoken.finish("m", WHOLE)

    assert spoken.hear(token(4, "two ")) == []
    assert spoken.hear(opened()) == []


def test_a_message_that_reads_otherwise_in_the_end_is_told_whole() -> None:
    spoken, _ = heard(opened(), token(0, "Won "))

    assert spoken.finish("m", WHOLE) == [("add_message", WHOLE)]


def test_what_a_failed_vertex_began_to_say_is_taken_back_once() -> None:
    spoken, _ = heard(opened(), token(0, "One "))

    assert spoken.drop("model") == [("remove_message", {"id": "m"})]
    assert spoken.drop("model") == spoken.drop() == []
    assert spoken.hear(token(4, "two ")) == []


async def test_polling_readers_are_not_kept_without_bound(monkeypatch: Any) -> None:
    monkeypatch.setattr("api.polls.READERS", 3)
    lab = Lab()
    async with lab.open():
        streams = RunStreams(lab.hub, lab.contents, lab.signals, UpToDate())
        polls = Polls(streams)
        run = await lab.ask(await lab.add(lab.echo()), input_value="hello")
        for n in range(10):
            assert b"vertices_sorted" in await polls.poll(run, str(n), after=None)
        assert len(polls._readers) <= 3
        await polls.close()
        assert lab.hub.readers == 0
