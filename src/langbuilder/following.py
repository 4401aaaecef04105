"""A run's stream of bytes as events: each once and in order, whatever is cut."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from langbuilder.errors import UnreadableAnswerError
from langbuilder.events import (
    BranchInactivated,
    MessageEmitted,
    MessageWithdrawn,
    ModelCalled,
    OtherEvent,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunEnd,
    RunEvent,
    RunFailed,
    RunRequested,
    RunSucceeded,
    StreamEvent,
    TextDelta,
    VertexBuilt,
    VertexFailed,
    VertexStarted,
)
from langbuilder.models import Message
from langbuilder.results import MACHINE, Result, result_of, said_in

LARGEST_FRAME: Final = 256 * 1024 * 1024
"""Bytes; what is larger is no event of a run."""

PLAIN: Final[Mapping[str, type[Any]]] = {
    "run.requested": RunRequested,
    "run.claimed": RunClaimed,
    "run.vertex_started": VertexStarted,
    "run.model_called": ModelCalled,
    "run.branch_inactivated": BranchInactivated,
    "run.cancel_requested": RunCancelRequested,
    "run.cancelled": RunCancelled,
}
"""Events that are told by their data alone."""

BUILDS: Final[Mapping[str, type[Any]]] = {
    "run.vertex_built": VertexBuilt,
    "run.vertex_failed": VertexFailed,
}


class GapError(Exception):
    """An event is missing before this one: what follows must be asked for again."""


class Frame(msgspec.Struct, frozen=True):
    """One server-sent event; comments have neither name nor data."""

    event: str = ""
    data: str = ""


class Frames:
    """
    Cuts bytes into server-sent events, as the WHATWG's HTML standard defines them.

    What is left unfinished when the bytes end was never said.
    """

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Yield the events that *piece* completes."""
        self._bytes += piece
        while (end := self._bytes.find(b"\n\n", self._searched)) >= 0:
            frame = bytes(self._bytes[:end])
            del self._bytes[: end + 2]
            self._searched = 0
            yield _frame(frame)
        self._searched = max(len(self._bytes) - 1, 0)
        if len(self._bytes) > LARGEST_FRAME:
            raise UnreadableAnswerError("An event of the stream does not end")


def _frame(frame: bytes) -> Frame:
    name, data = "", []
    for line in frame.decode("utf-8", errors="replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return Frame(name, "\n".join(data))


class _Token(msgspec.Struct, frozen=True):
    message: UUID
    offset: int
    chunk: str


class _Told(msgspec.Struct, frozen=True):
    version: int
    type: str
    at: msgspec.Raw
    data: dict[str, Any]
    content: msgspec.Raw = msgspec.Raw(b"null")


class Follower:
    """
    Knows what was seen of a run, and makes of what comes exactly the rest.

    Tokens may be lost, with a connection or before; the finished message has the
    whole text, of which what has not been given yet is given then.
    """

    def __init__(self, run_id: UUID, *, after: int = 0) -> None:
        self.run_id = run_id
        self.version = after
        self.end: RunEnd | None = None
        self._session = ""
        self._said: dict[UUID, str] = {}
        self._finished: set[UUID] = set()
        self._messages: list[Message] = []
        self._characters = 0

    @property
    def seen(self) -> tuple[int, int]:
        """What grows whenever something new was seen: events, and characters."""
        return self.version, self._characters

    def take(self, frame: Frame) -> list[StreamEvent]:
        """Return what *frame* tells that was not told before."""
        if not frame.data:
            return []
        try:
            if frame.event == "token":
                return self._token(msgspec.json.decode(frame.data, type=_Token))
            told = msgspec.json.decode(frame.data, type=_Told)
            if told.version <= self.version:
                return []
            if told.version > self.version + 1:
                raise GapError
            events = self._events(told)
        except msgspec.DecodeError as error:
            said = f"Event {frame.event} of run {self.run_id} cannot be read: {error}"
            raise UnreadableAnswerError(said) from None
        self.version = told.version
        return events

    def _token(self, token: _Token) -> list[StreamEvent]:
        said = self._said.get(token.message, "")
        if token.message in self._finished or token.offset > len(said):
            return []
        rest = token.chunk[len(said) - token.offset :]
        if not rest:
            return []
        self._said[token.message] = said + rest
        self._characters += len(rest)
        return [TextDelta(message_id=token.message, text=rest)]

    def _events(self, told: _Told) -> list[StreamEvent]:
        head = {"version": told.version, "type": told.type}
        head["at"] = msgspec.json.decode(told.at)
        make: Callable[..., list[StreamEvent]]
        match told.type:
            case "run.message_emitted":
                make = self._emitted
            case "run.succeeded":
                make = self._succeeded
            case "run.failed":
                make = self._failed
            case kind if kind in BUILDS:
                build = _content(told)
                return [_read(BUILDS[kind], told.data | head | {"build": build})]
            case kind if kind in PLAIN:
                event = _read(PLAIN[kind], told.data | head)
                return [*self._noted(event), event]
            case _:
                fields = head | {"data": told.data, "content": _content(told)}
                return [_read(OtherEvent, fields)]
        return make(told, head)

    def _noted(self, event: RunEvent) -> list[StreamEvent]:
        match event:
            case RunRequested(session=session):
                self._session = session
            case RunCancelled():
                self.end = event
                return self._withdrawn()
            case _:
                pass
        return []

    def _emitted(self, told: _Told, head: dict[str, Any]) -> list[StreamEvent]:
        content = _content(told)
        message = None if content is None else _read(Message, content)
        fields = {name: told.data[name] for name in told.data if name != "message"}
        more = {"message_id": told.data["message"], "message": message}
        event = msgspec.convert(fields | head | more, MessageEmitted)
        if message is None:
            self._finished.add(event.message_id)
            return [event]
        self._messages.append(message)
        return [*self._finish(event, message), event]

    def _finish(self, event: MessageEmitted, message: Message) -> list[StreamEvent]:
        """Give what of a message's text was not given yet."""
        said = self._said.pop(event.message_id, "")
        self._finished.add(event.message_id)
        if message.sender != MACHINE or event.category != "message":
            return [MessageWithdrawn(message_id=event.message_id)] if said else []
        if said and not message.text.startswith(said):
            whole = TextDelta(message_id=event.message_id, text=message.text)
            return [MessageWithdrawn(message_id=event.message_id), whole]
        rest = message.text[len(said) :]
        return [TextDelta(message_id=event.message_id, text=rest)] if rest else []

    def _succeeded(self, told: _Told, head: dict[str, Any]) -> list[StreamEvent]:
        result = Result(run_id=self.run_id, session_id=self._session)
        if bytes(told.content) != b"null":
            result = result_of(bytes(told.content), run_id=self.run_id)
        if not result.messages:
            said = said_in(tuple(self._messages))
            result = msgspec.structs.replace(result, messages=said)
        self.end = msgspec.convert(head | {"result": result}, RunSucceeded)
        return [*self._withdrawn(), self.end]

    def _failed(self, told: _Told, head: dict[str, Any]) -> list[StreamEvent]:
        content = _content(told)
        message = content.get("message", "") if isinstance(content, dict) else ""
        fields = {name: told.data.get(name) for name in ("reason", "vertex")}
        self.end = _read(RunFailed, head | fields | {"message": str(message)})
        return [*self._withdrawn(), self.end]

    def _withdrawn(self) -> list[StreamEvent]:
        begun, self._said = self._said, {}
        self._finished.update(begun)
        return [MessageWithdrawn(message_id=one) for one in begun]


def _content(told: _Told) -> Any:
    return msgspec.json.decode(told.content)


def _read[T](kind: type[T], fields: Any) -> T:
    return msgspec.convert(fields, kind)
