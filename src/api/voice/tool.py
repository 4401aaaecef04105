"""Talking with a model that may ask a flow, and does when it is useful."""

from typing import Any, Final

import msgspec

from api.sockets import GOING_AWAY, ClosingError, Line
from api.voice.frames import (
    Append,
    Clear,
    Commit,
    ElevenLabsConfig,
    ItemCreate,
    ResponseCancel,
    ResponseCreate,
    SessionUpdate,
    Talked,
    VoiceSettings,
    as_event,
    error_frame,
)
from api.voice.talk import BEGUN, HUNG_UP, Asking, Speaker
from application.ports.voices import Call
from application.voices import Voices
from domain.kernel import DomainError, Json

TOOL: Final = "execute_flow"
CALLED: Final = "response.function_call_arguments.done"
WRITTEN: Final = frozenset({"response.text.done", "response.output_text.done"})
AT_ONCE: Final = 4
"""Runs of the flow that the model may have going on."""
LONGEST: Final = 100_000
"""Characters of an answer that the model is told."""
OURS: Final = frozenset({"tools", "tool_choice", "type", "model"})
"""What of its session a client cannot change."""
ASKED: Final = "Always ask the flow by its tool; answer in a sentence or two."


class FlowAsTool:
    """A model listens and speaks; the flow is the one tool that it has."""

    def __init__(self, line: Line, call: Call, asking: Asking, voices: Voices) -> None:
        self._line = line
        self._call = call
        self._asking = asking
        self._speaker = Speaker(line, voices)
        self._going_on = 0

    async def begin(self) -> None:
        """Tell the model of the flow, and listen to it from now on."""
        flow = await self._asking.flow()
        tool: dict[str, Json] = {
            "type": "function",
            "name": TOOL,
            "description": f"Asks the flow {flow.name!r} and returns its answer.",
            "parameters": {
                "type": "object",
                "properties": {
                    "input": {"type": "string", "description": "What to ask."}
                },
                "required": ["input"],
            },
        }
        session: dict[str, Json] = {
            "modalities": ["text", "audio"],
            "instructions": ASKED,
            "voice": self._speaker.voice,
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "turn_detection": {"type": "server_vad"},
            "tools": [tool],
            "tool_choice": "auto",
        }
        await self._update(session)
        self._line.beside(self._listen())

    async def hear(self, said: Talked) -> None:
        """Take in what the client says."""
        match said:
            case Append() | Commit() | Clear() | ResponseCreate() | ResponseCancel():
                await self._call.say(as_event(said))
            case ItemCreate():
                await self._call.say(as_event(said))
            case SessionUpdate(session=session):
                await self._update({k: v for k, v in session.items() if k not in OURS})
            case VoiceSettings(voice=voice):
                self._speaker.voice = voice
                await self._update({"voice": voice})
            case ElevenLabsConfig():
                await self._speaker.configure(said)
                aloud = [] if self._speaker.elevenlabs else ["audio"]
                await self._update({"modalities": ["text", *aloud]})

    async def _update(self, session: dict[str, Json]) -> None:
        await self._call.say({"type": "session.update", "session": session})

    async def _listen(self) -> None:
        async for event in self._call.hear():
            await self._line.say(event)
            kind = event.get("type")
            if kind == BEGUN:
                self._speaker.hush()
            elif kind == CALLED:
                self._line.beside(self._called(event))
            elif kind in WRITTEN and self._speaker.elevenlabs:
                self._speaker.speak(str(event.get("text") or ""))
        raise ClosingError(GOING_AWAY, HUNG_UP)

    async def _called(self, event: dict[str, Json]) -> None:
        output = await self._output(str(event.get("arguments") or ""))
        item: dict[str, Json] = {
            "type": "function_call_output",
            "call_id": event.get("call_id"),
            "output": msgspec.json.encode(output).decode(),
        }
        try:
            await self._call.say({"type": "conversation.item.create", "item": item})
            await self._call.say({"type": "response.create"})
        except DomainError as refused:
            await self._line.say(error_frame(refused))

    async def _output(self, arguments: str) -> dict[str, str]:
        """Return what the flow answers, or why it does not, for the model to read."""
        text = _input_of(arguments)
        if text is None:
            return {"error": "Call it with an input, which is a text."}
        if self._going_on >= AT_ONCE:
            return {"error": "It is asked too much at once; wait for its answers."}
        self._going_on += 1
        try:
            reply = await self._asking.ask(text)
        except DomainError as refused:
            await self._line.say(error_frame(refused))
            return {"error": refused.sentence}
        finally:
            self._going_on -= 1
        said = {"result": reply.text[:LONGEST]}
        return said if reply.error is None else said | {"error": reply.error}


def _input_of(arguments: str) -> str | None:
    try:
        plain = msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    text = plain.get("input")
    return text if isinstance(text, str) else None
