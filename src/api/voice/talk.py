"""Talking with a flow: it is asked what was heard, and its answer is spoken."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator
from contextlib import aclosing
from typing import Final
from uuid import UUID, uuid4

import msgspec

from api.chat_events import BuildEvents
from api.sockets import GOING_AWAY, ClosingError, Line, Pace
from api.streams import RunStreams
from api.voice.frames import (
    Append,
    Clear,
    Commit,
    ElevenLabsConfig,
    Spoken,
    VoiceSettings,
    as_event,
    error_frame,
)
from application.execution.flows import FlowsToRun, FlowToRun
from application.ports import Cause
from application.ports.voices import Call
from application.replies import Replies, Reply
from application.voices import ELEVENLABS, OPENAI, Voices
from domain.kernel import DomainError, Json

VOICE: Final = "alloy"
TALKING: Final = Pace(burst=200, refill=100)
"""Sound comes in small pieces: 20 ms each are 50 a second."""
WAITING: Final = 8
"""Utterances that may wait until the flow has answered the one before."""
BREATH: Final = 4_000
"""Characters that are spoken in one go."""
LONGEST: Final = 20_000
"""Characters of an answer that are spoken at all."""
HEARD: Final = "conversation.item.input_audio_transcription.completed"
BEGUN: Final = "input_audio_buffer.speech_started"
HUNG_UP: Final = "The voice provider has hung up"


class TooMuchSaidError(DomainError):
    """More was said than the flow can answer; wait for its answers."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A flow that is asked, in one session, while somebody listens."""

    line: Line
    flow_id: UUID
    session: str
    flows_to_run: FlowsToRun
    replies: Replies
    streams: RunStreams

    async def flow(self) -> FlowToRun:
        """Return the flow as it stands, if whoever is on the line may run it."""
        return await self.flows_to_run.head(self.line.actor, self.flow_id)

    async def ask(self, text: str) -> Reply:
        """Run the flow on *text*; tell the client how that goes on."""
        await self.line.renew()
        requested = await self.replies.ask(
            await self.flow(),
            text,
            trigger="voice",
            cause=self._cause(),
            session=self.session,
            stream=True,
        )
        events = self.streams.told(requested.run, BuildEvents())
        async with aclosing(events) as stream:
            async for told in stream:
                for name, data in told.frames:
                    event = {"event": name, "data": data}
                    await self.line.say({"type": "flow.build.progress", "data": event})
        return await self.replies.wait(requested.run)

    def _cause(self) -> Cause:
        return Cause(actor=self.line.actor, command_id=uuid4(), correlation_id=uuid4())


class Speaker:
    """Speaks over a line, one text after the other, until it is interrupted."""

    def __init__(self, line: Line, voices: Voices) -> None:
        self.elevenlabs: str | None = None
        self.voice = VOICE
        self._line = line
        self._voices = voices
        self._turn = asyncio.Lock()
        self._speaking: set[asyncio.Task[None]] = set()

    async def configure(self, config: ElevenLabsConfig) -> None:
        """Let ElevenLabs speak, if its key is there; else raise `NoVoiceKeyError`."""
        self.elevenlabs = None
        if config.enabled and config.voice_id:
            await self._voices.key(self._line.actor, ELEVENLABS)
            self.elevenlabs = config.voice_id

    def speak(self, text: str) -> asyncio.Task[None]:
        """Say *text* as soon as what is being said has ended."""
        task = self._line.beside(self._spoken(text[:LONGEST]))
        self._speaking.add(task)
        task.add_done_callback(self._speaking.discard)
        return task

    def hush(self) -> None:
        """Say no more of what is being said, or waits to be."""
        for task in self._speaking:
            task.cancel()

    async def _spoken(self, text: str) -> None:
        try:
            async with self._turn:
                for part in breaths(text):
                    await self._breath(part)
                await self._line.say({"type": "response.audio.done"})
        except DomainError as refused:
            await self._line.say(error_frame(refused))

    async def _breath(self, text: str) -> None:
        if self.elevenlabs is None:
            mouth, voice, name = self._voices.mouth, self.voice, OPENAI
        else:
            mouth, voice, name = self._voices.choir, self.elevenlabs, ELEVENLABS
        key = await self._voices.key(self._line.actor, name)
        async for piece in mouth.speak(text, voice=voice, key=key):
            sound = b64encode(piece).decode()
            await self._line.say({"type": "response.audio.delta", "delta": sound})


def breaths(text: str) -> Iterator[str]:
    """Yield *text* in parts that are spoken in one go, cut between words."""
    rest = text.strip()
    while len(rest) > BREATH:
        cut = max(rest.rfind(mark, 1, BREATH) for mark in (". ", "\n", " "))
        cut = cut if cut > 0 else BREATH
        yield rest[:cut].strip()
        rest = rest[cut:].strip()
    if rest:
        yield rest


class Dictation:
    """Somebody speaks, a model writes it down, the flow answers, and that is spoken."""

    def __init__(self, line: Line, call: Call, asking: Asking, voices: Voices) -> None:
        self._line = line
        self._call = call
        self._asking = asking
        self._speaker = Speaker(line, voices)
        self._model = voices.transcription_model
        self._heard: asyncio.Queue[str] = asyncio.Queue(WAITING)

    async def begin(self) -> None:
        """Tell the model how sound comes, and listen to it from now on."""
        session: dict[str, Json] = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": self._model},
            "turn_detection": {"type": "server_vad"},
        }
        await self._call.say(
            {"type": "transcription_session.update", "session": session}
        )
        self._line.beside(self._listen())
        self._line.beside(self._answer())

    async def hear(self, said: Spoken) -> None:
        """Take in what the client says."""
        match said:
            case Append() | Commit() | Clear():
                await self._call.say(as_event(said))
            case ElevenLabsConfig():
                await self._speaker.configure(said)
            case VoiceSettings(voice=voice):
                self._speaker.voice = voice

    async def _listen(self) -> None:
        async for event in self._call.hear():
            kind = event.get("type")
            await self._line.say(event)
            if kind == BEGUN:
                self._speaker.hush()
            elif kind == HEARD and (text := str(event.get("transcript") or "").strip()):
                try:
                    self._heard.put_nowait(text)
                except asyncio.QueueFull:
                    await self._line.say(error_frame(TooMuchSaidError()))
        raise ClosingError(GOING_AWAY, HUNG_UP)

    async def _answer(self) -> None:
        while True:
            text = await self._heard.get()
            try:
                reply = await self._asking.ask(text)
            except DomainError as refused:
                await self._line.say(error_frame(refused))
                continue
            if reply.error is None and reply.text:
                await asyncio.wait({self._speaker.speak(reply.text)})
