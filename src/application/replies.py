"""What a flow says to a text: waited for as a whole, or heard while it is spoken."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from application.execution.flows import FlowToRun
from application.execution.speech import Opened, Word
from application.ports import Cause, Contents, EventStore, Position, Recorded
from application.runs import Requested, Runs
from domain.kernel import ContentRef, Event, Json
from domain.run.asked import Asked, Turn
from domain.run.events import (
    MessageEmitted,
    ModelCalled,
    RunCancelled,
    RunFailed,
    RunSucceeded,
    Trigger,
)
from domain.run.run import Status

APART: Final = "\n\n"
"""What stands between the texts of a flow that says more than one."""
CHAT_OUTPUT: Final = "ChatOutput"
CHAT_INPUT: Final = "ChatInput"
PAGE: Final = 1000


class Usage(msgspec.Struct, frozen=True):
    """Tokens that the models of a run counted; 0 where none of them counts."""

    input_tokens: int = 0
    output_tokens: int = 0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """
    How a run ended, and what its flow said.

    ``error`` is the sentence of why it failed or was cancelled, ``reason`` the slug
    of a failure; ``text`` is then what had been said by that time.
    """

    run: UUID
    status: Status
    text: str
    usage: Usage
    position: Position
    error: str | None = None
    reason: str | None = None


class Watched(Protocol):
    """Where a run is followed as it goes on: its events, and words between them."""

    def watch(self, run: UUID) -> AsyncGenerator[Recorded | Word]: ...


class Replies:
    """
    Ask a flow, then wait for its reply or hear it come.

    Asking returns once the request is durable; neither waiting nor hearing changes
    anything, so both may be done again, by anybody who may see the run.
    """

    def __init__(
        self, runs: Runs, watched: Watched, store: EventStore, contents: Contents
    ) -> None:
        self._runs = runs
        self._watched = watched
        self._store = store
        self._contents = contents

    async def ask(
        self,
        flow: FlowToRun,
        text: str,
        *,
        trigger: Trigger,
        cause: Cause,
        session: str | None = None,
        told: Sequence[Turn] = (),
        alone: bool = False,
        files: Sequence[str] = (),
        tweaks: dict[str, Any] | None = None,
        stream: bool = False,
        echo: dict[str, Any] | None = None,
    ) -> Requested:
        """
        Let *flow* answer *text* in *session* (else the flow's own).

        *told* was said before and becomes no message; with *alone* it is all that was
        said before, whatever the session holds. *stream* has models speak token by
        token; *echo* is kept for whoever tells of the run later. Raise what
        `Runs.request` raises.
        """
        asked = Asked(
            input_value=text,
            input_type="chat" if chats(flow.document) else "any",
            session=session,
            told=tuple(told),
            alone=alone,
            files=tuple(files),
            tweaks=tweaks or {},
            stream=stream,
            echo=echo or {},
            whole_run=True,
        )
        return await self._runs.request(flow, asked, trigger=trigger, cause=cause)

    async def wait(self, run: UUID) -> Reply:
        """Wait until *run* has ended, here or elsewhere; return its reply."""
        await self._runs.wait(run)
        events = await self._events(run)
        wanted = [ref.id for one in events if (ref := _content(one.event))]
        opened = await self._contents.open(wanted)
        hearing = _Hearing(run)
        for recorded in events:
            ref = _content(recorded.event)
            hearing.tell(recorded, opened.get(ref.id) if ref else None)
        return hearing.reply()

    async def hear(self, run: UUID) -> AsyncGenerator[str | Reply]:
        """Yield the text of a reply piece by piece, and at its end the reply."""
        hearing = _Hearing(run)
        async with aclosing(self._watched.watch(run)) as watched:
            async for item in watched:
                if isinstance(item, Recorded):
                    piece = hearing.tell(item, await self._opened(item.event))
                else:
                    piece = hearing.hear(item)
                if piece:
                    yield piece
        yield hearing.reply()

    async def _opened(self, event: Event) -> bytes | None:
        ref = _content(event)
        return (
            None if ref is None else (await self._contents.open([ref.id])).get(ref.id)
        )

    async def _events(self, run: UUID) -> list[Recorded]:
        found: list[Recorded] = []
        while page := await self._store.read_stream(
            "runs", run, after=found[-1].version if found else 0, limit=PAGE
        ):
            found += page
        return found


class Voice:
    """
    Makes one text of what several vertices say.

    The first that begins is heard to its end; what the others say meanwhile
    follows, with an empty line between.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._finished: set[str] = set()
        self._order: list[str] = []
        self._place = 0
        self._heard = 0
        self._begun = False

    @property
    def text(self) -> str:
        """Everything said so far."""
        return APART.join(text for one in self._order if (text := self._texts[one]))

    def begin(self, message: str) -> None:
        """Somebody is about to say *message*."""
        if message not in self._texts:
            self._order.append(message)
            self._texts[message] = ""

    def add(self, message: str, chunk: str, *, offset: int) -> str:
        """Hear a *chunk* of a message; return what the text gains by it."""
        text = self._texts.get(message)
        if text is None or message in self._finished or offset != len(text):
            return ""  # a piece before it was lost: the whole text comes at the end
        self._texts[message] = text + chunk
        return self._gain()

    def finish(self, message: str, text: str) -> str:
        """Hear the whole of a message; return what the text gains by it."""
        self.begin(message)
        current = self._place < len(self._order) and message == self._order[self._place]
        heard = self._texts[message][: self._heard] if current else ""
        # What was heard cannot be taken back.
        self._texts[message] = text if text.startswith(heard) else heard
        self._finished.add(message)
        return self._gain()

    def _gain(self) -> str:
        pieces: list[str] = []
        while self._place < len(self._order):
            message = self._order[self._place]
            if piece := self._texts[message][self._heard :]:
                if self._begun and not self._heard:
                    pieces.append(APART)
                pieces.append(piece)
                self._heard += len(piece)
                self._begun = True
            if message not in self._finished:
                break
            self._place, self._heard = self._place + 1, 0
        return "".join(pieces)


class _Hearing:
    """What one listener has of a run."""

    def __init__(self, run: UUID) -> None:
        self._run = run
        self._voice = Voice()
        self._tokens = [0, 0]
        self._status: Status = "requested"
        self._text = ""
        self._error: str | None = None
        self._reason: str | None = None
        self._position = Position()

    def hear(self, word: Word) -> str:
        if isinstance(word, Opened):
            self._voice.begin(str(word.message["id"]))
            return ""
        return self._voice.add(word.message, word.chunk, offset=word.offset)

    def tell(self, recorded: Recorded, content: bytes | None) -> str:
        """Take in an event; return what the text gains by it."""
        self._position = Position(runs=recorded.position)
        match recorded.event:
            case MessageEmitted(message=message) if content is not None and _content(
                recorded.event
            ):
                said = msgspec.json.decode(content, type=_Said)
                return self._voice.finish(str(message), said.text)
            case ModelCalled(input_tokens=asked, output_tokens=answered):
                self._tokens[0] += asked or 0
                self._tokens[1] += answered or 0
            case RunSucceeded():
                return self._succeeded(content)
            case RunFailed(reason=reason):
                self._status, self._reason = "failed", reason
                self._error = msgspec.json.decode(content or b"{}", type=_Why).message
            case RunCancelled():
                self._status, self._error = "cancelled", "The run was cancelled."
            case _:
                pass
        return ""

    def _succeeded(self, content: bytes | None) -> str:
        self._status = "succeeded"
        if self._voice.text:
            return ""
        # Nothing was said in the chat: what the run answers with is the reply.
        answer = msgspec.json.decode(content or b"{}", type=_Answer)
        shown = [text for one in answer.outputs for text in _shown(one)]
        self._text = APART.join(shown)
        return self._text

    def reply(self) -> Reply:
        return Reply(
            run=self._run,
            status=self._status,
            text=self._voice.text or self._text,
            usage=Usage(*self._tokens),
            position=self._position,
            error=self._error,
            reason=self._reason,
        )


class _Said(msgspec.Struct):
    text: str = ""


class _Why(msgspec.Struct):
    message: str = "The run failed."


class _Shown(msgspec.Struct):
    message: Json = None


class _Output(msgspec.Struct):
    outputs: dict[str, _Shown] = {}


class _Outputs(msgspec.Struct):
    outputs: list[_Output] = []


class _Answer(msgspec.Struct):
    outputs: list[_Outputs] = []


def _shown(one: _Outputs) -> list[str]:
    values = [value.message for out in one.outputs for value in out.outputs.values()]
    return [
        value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for value in values
        if value not in (None, "")
    ]


def _content(event: Event) -> ContentRef | None:
    """Return the content of an event that tells what a flow says."""
    match event:
        case MessageEmitted(category="message") if CHAT_OUTPUT in event.vertex:
            return event.content
        case RunFailed():
            return event.content
        case RunSucceeded():
            return event.outputs
        case _:
            return None


def chats(document: Json) -> bool:
    """Tell whether a flow has a chat for its way in."""
    nodes = document.get("nodes") if isinstance(document, dict) else None
    return any(
        CHAT_INPUT in str(node.get("id"))
        for node in nodes or ()
        if isinstance(node, dict)
    )
