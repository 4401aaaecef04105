"""Coming back to a run in the middle of a message: nothing lost, nothing twice."""

import asyncio
from contextlib import aclosing
from typing import Any
from uuid import UUID

from api.chat_telling import ChatTelling
from tests.application.lab import Lab, Scripted

type Told = list[tuple[int, str, dict[str, Any]]]


async def told(lab: Lab, run: UUID, after: int, *, upto: str = "") -> Told:
    """Return what is told, up to a token that ends with *upto* or to the end."""
    heard: Told = []
    async with aclosing(lab.streams.told(run, ChatTelling(after))) as stream:
        async for one in stream:
            heard += [(one.version, name, data) for name, data in one.frames]
            if upto and heard[-1][1] == "token" and spoken(heard).endswith(upto):
                return heard
    return heard


def spoken(heard: Told) -> str:
    text = ""
    for _, name, data in heard:
        if name == "stream":
            text = ""
        if name == "token":
            text = text[: data["offset"]] + data["chunk"]
    return text


async def test_a_message_that_had_only_begun_is_told_again_token_by_token() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hi", stream=True)
        first = await told(lab, run, 0, upto="two ")
        position = first[-1][0]
        again = await told(lab, run, position, upto="two ")
        speaker.hangs.set()
        rest = await told(lab, run, position)
        done = await told(lab, run, 0)

    assert [name for _, name, _ in first][:2] == ["message", "stream"]
    assert again[0][1] == "stream"
    assert "message" not in [name for _, name, _ in again]
    assert [name for _, name, _ in rest][-2:] == ["message", "end"]
    assert rest[-2][2]["text"] == "One two three four"
    assert [one for one in done if one[1] == "message"][1:] == [
        one for one in rest if one[1] == "message"
    ]


async def test_a_message_that_is_never_finished_is_taken_back() -> None:
    speaker = Scripted("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with lab.open():
        run = await lab.ask(await lab.add(lab.spoken()), input_value="hi", stream=True)
        begun = await told(lab, run, 0, upto="two ")
        reading = asyncio.create_task(told(lab, run, begun[-1][0]))
        speaker.fails = ValueError("lost for words")
        await asyncio.sleep(0)
        speaker.hangs.set()
        rest = await reading

    [stream] = [data for _, name, data in begun if name == "stream"]
    names = [name for _, name, _ in rest]
    assert names[-3:] == ["remove_message", "error", "end"]
    assert rest[-3][2] == {"id": stream["id"]}
    assert "lost for words" in rest[-2][2]["message"]
    assert rest[-1][2] == {"status": "failed"}
