"""What a flow says to a text, as a whole and piece by piece."""

import asyncio
from collections.abc import Mapping
from typing import override

from application.ports.components import ComponentFailedError, Invocation
from application.replies import Replies, Reply, Voice
from domain.kernel import Json
from domain.run.asked import Turn
from domain.run.values import Message, Value
from tests.application.lab import Lab, Scripted, cause_of


class Counting(Scripted):
    """Speaks, and says what that cost."""

    @override
    async def build(self, call: Invocation) -> Mapping[str, Value]:
        await call.model_called(
            provider="Test", model="m", input_tokens=7, output_tokens=2, duration_ms=1
        )
        return await super().build(call)


class Remembering(Scripted):
    """Says what was said before."""

    @override
    async def build(self, call: Invocation) -> Mapping[str, Value]:
        before = await call.history(session=call.facts.session, limit=10)
        said = [f"{one.sender_name}: {one.text}" for one in before]
        return {"text_output": Message(text=" | ".join(said))}


async def ask(lab: Lab, document: Json, text: str = "hi", **more: object) -> Reply:
    flow = await lab.flows.head(lab.actor, await lab.add(document))
    asked = await lab.replies.ask(
        flow,
        text,
        trigger="openai",
        cause=cause_of(lab.actor),
        **more,  # type: ignore[arg-type]
    )
    return await lab.replies.wait(asked.run)


async def pieces(replies: Replies, reply: Reply) -> tuple[list[str], Reply]:
    heard = [one async for one in replies.hear(reply.run)]
    assert isinstance(heard[-1], Reply)
    return [one for one in heard[:-1] if isinstance(one, str)], heard[-1]


async def test_a_reply_is_what_the_chat_output_says() -> None:
    lab = Lab()
    async with lab.open():
        reply = await ask(lab, lab.echo(), "good day", session="s")
        said, heard = await pieces(lab.replies, reply)

    assert (reply.status, reply.text, reply.error) == ("succeeded", "good day", None)
    assert said == ["good day"]
    assert heard == reply


async def test_a_reply_is_heard_while_it_is_spoken() -> None:
    speaker = Counting("Speaker")
    speaker.hangs = asyncio.Event()
    lab = Lab(speaker)
    async with lab.open():
        flow = await lab.flows.head(lab.actor, await lab.add(lab.spoken()))
        asked = await lab.replies.ask(
            flow, "hi", trigger="chat", cause=cause_of(lab.actor), stream=True
        )
        heard: list[str | Reply] = []
        async for one in lab.replies.hear(asked.run):
            heard.append(one)
            speaker.hangs.set()
        waited = await lab.replies.wait(asked.run)

    assert len(heard) > 2
    assert "".join(str(one) for one in heard[:-1]) == "One two three four"
    assert heard[-1] == waited
    assert (waited.usage.input_tokens, waited.usage.output_tokens) == (7, 2)


async def test_a_flow_without_a_chat_answers_with_its_output() -> None:
    lab = Lab()
    drawing = lab.draw()
    given = drawing.place("TextInput-a", "TextInput", (0, 0))
    shown = drawing.place("TextOutput-b", "TextOutput", (1, 0))
    drawing.connect(given, "text", shown, "input_value")
    async with lab.open():
        reply = await ask(lab, drawing.document(), "as it is")
        said, _ = await pieces(lab.replies, reply)

    assert reply.text == "as it is"
    assert said == ["as it is"]


async def test_a_reply_that_fails_says_why() -> None:
    speaker = Scripted("Speaker")
    speaker.fails = ComponentFailedError("the model is out")
    lab = Lab(speaker)
    async with lab.open():
        reply = await ask(lab, lab.spoken())
        said, heard = await pieces(lab.replies, reply)

    assert reply.status == "failed"
    assert reply.error == "the model is out"
    assert (said, heard) == ([], reply)


async def test_what_a_request_brings_along_is_heard_and_becomes_no_message() -> None:
    lab = Lab(Remembering("Speaker"))
    told = [
        Turn(sender="User", sender_name="User", text="I am Ada"),
        Turn(sender="Machine", sender_name="AI", text="Hello Ada"),
    ]
    async with lab.open():
        before = await ask(lab, lab.spoken(), "unheard of", session="s")
        reply = await ask(
            lab, lab.spoken(), "who am I", session="s", told=told, alone=True
        )
        stored = await ask(lab, lab.spoken(), "and now", session="s", told=told[:1])

    assert before.text == "User: unheard of"
    assert reply.text == "User: I am Ada | AI: Hello Ada | User: who am I"
    assert stored.text == (
        "User: unheard of | AI: User: unheard of | User: who am I | "
        f"AI: {reply.text} | User: I am Ada | User: and now"
    )


def test_of_two_who_speak_at_once_the_first_is_heard_to_its_end() -> None:
    voice = Voice()
    voice.begin("a")
    voice.begin("b")

    heard = [
        voice.add("b", "uno ", offset=0),
        voice.add("a", "one ", offset=0),
        voice.add("b", "due", offset=4),
        voice.finish("a", "one two"),
        voice.finish("b", "uno due"),
        voice.finish("c", "three"),
    ]

    assert heard == ["", "one ", "", "two\n\nuno due", "", "\n\nthree"]
    assert voice.text == "one two\n\nuno due\n\nthree"


def test_a_piece_that_was_lost_comes_with_the_whole() -> None:
    voice = Voice()
    voice.begin("a")

    heard = [
        voice.add("a", "one ", offset=0),
        voice.add("a", "three ", offset=8),
        voice.finish("a", "one two three four"),
    ]

    assert heard == ["one ", "", "two three four"]
