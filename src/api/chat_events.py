"""LangBuilder's event stream, told from a run's own events and its tokens."""

from typing import Any, assert_never
from uuid import UUID, uuid5

import msgspec

from application.execution.messages import as_error_event, error_data
from application.execution.outcome import utc_text
from application.execution.speech import Opened, Token, Word
from application.ports import Recorded
from domain.kernel import ContentRef
from domain.run.events import (
    BranchInactivated,
    MessageEmitted,
    ModelCalled,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunEvent,
    RunFailed,
    RunForgotten,
    RunRequested,
    RunSucceeded,
    VertexBuilt,
    VertexFailed,
    VertexStarted,
)
from domain.run.values import Source

type Frame = tuple[str, Any]
"""An event's name and its data."""

NOWHERE = UUID(int=0)
GONE = b'{"params": null, "data": {}}'
"""What is told of a build whose content has been deleted."""


class Build(msgspec.Struct):
    """The content of a vertex that was carried out, passed on as it is."""

    params: msgspec.Raw
    data: msgspec.Raw


class Failing(msgspec.Struct):
    """The content of a run that failed."""

    message: str = "The run failed."
    kind: str = "Error"


def content_of(event: RunEvent) -> ContentRef | None:
    """Return the content that telling *event* needs."""
    match event:
        case MessageEmitted() | VertexBuilt() | VertexFailed() | RunFailed():
            return event.content
        case RunSucceeded():
            return event.outputs
        case _:
            return None


class Spoken:
    """What a reader has of messages that are still being spoken."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._vertices: dict[str, str] = {}
        self._missed: set[str] = set()
        self._finished: set[str] = set()

    def hear(self, word: Word) -> list[Frame]:
        """Tell a word, unless it came too late or something before it was lost."""
        match word:
            case Opened(message=message):
                return self._open(str(message["id"]), word)
            case Token(message=message):
                if message not in self._texts or message in self._missed:
                    return []
                if word.offset > len(self._texts[message]):
                    self._missed.add(message)
                if word.offset != len(self._texts[message]):
                    return []
                self._texts[message] += word.chunk
                return [_token(message, word.chunk, word.timestamp)]
            case _:
                assert_never(word)

    def _open(self, message: str, word: Opened) -> list[Frame]:
        if message in self._finished or message in self._texts:
            return []
        self._texts[message] = ""
        self._vertices[word.vertex] = message
        return [("add_message", word.message)]

    def finish(self, message: str, data: dict[str, Any]) -> list[Frame]:
        """Tell the finished message, or what of its text is still missing."""
        self._finished.add(message)
        heard = self._texts.pop(message, None)
        text = str(data.get("text", ""))
        if heard is None or message in self._missed or not text.startswith(heard):
            return [("add_message", data)]
        rest = text[len(heard) :]
        return [_token(message, rest, str(data.get("timestamp", "")))] if rest else []

    def drop(self, vertex: str | None = None) -> list[Frame]:
        """Take back what *vertex*, or anybody, began to say and never will finish."""
        vertices = list(self._vertices) if vertex is None else [vertex]
        begun = [self._vertices.pop(one, "") for one in vertices]
        unfinished = [one for one in begun if self._texts.pop(one, None) is not None]
        self._finished.update(unfinished)
        return [("remove_message", {"id": one}) for one in unfinished]


def _token(message: str, chunk: str, timestamp: str) -> Frame:
    return ("token", {"chunk": chunk, "id": message, "timestamp": timestamp})


class BuildEvents:
    """
    Tells a run as ``/build/…/events`` does.

    Every run's telling ends with ``end``, but a cancelled one's: that just stops.
    """

    def __init__(self) -> None:
        self._spoken = Spoken()
        self._flow = NOWHERE
        self._session = ""
        self._empty = False

    def hear(self, word: Word) -> list[Frame]:
        """Tell a word."""
        return self._spoken.hear(word)

    def tell(self, recorded: Recorded, content: bytes | None) -> list[Frame]:
        """Tell an event; *content* is what it refers to, if that still exists."""
        event: RunEvent = recorded.event  # type: ignore[assignment]  # a run's stream
        return [*self._sorted_late(event), *self._told(recorded, event, content)]

    def _told(
        self, recorded: Recorded, event: RunEvent, content: bytes | None
    ) -> list[Frame]:
        frames: list[Frame] = []
        match event:
            case RunRequested():
                frames = self._requested(event)
            case MessageEmitted():
                frames = self._message(event, content)
            case VertexBuilt():
                frames = [_built(event, recorded, content, valid=True)]
            case VertexFailed():
                failed = _built(event, recorded, content, valid=False)
                frames = [*self._spoken.drop(event.vertex), failed]
            case RunSucceeded():
                frames = [("end", {})]
            case RunFailed():
                frames = [
                    *self._spoken.drop(),
                    *self._failure(recorded, event, content),
                ]
            case (
                RunCancelled()
                | RunClaimed()
                | VertexStarted()
                | ModelCalled()
                | BranchInactivated()
                | RunCancelRequested()
                | RunForgotten()
            ):
                pass
            case _:
                assert_never(event)
        return frames

    def _requested(self, event: RunRequested) -> list[Frame]:
        self._flow, self._session = event.flow, event.session
        self._empty = not event.to_run
        return [] if self._empty else [_sorted(event.first, event.to_run)]

    def _sorted_late(self, event: RunEvent) -> list[Frame]:
        # A flow that could not be read has no vertices to announce, an empty one
        # has none either, but says so: only what follows tells which it is.
        if not self._empty:
            return []
        self._empty = False
        return [] if isinstance(event, RunFailed) else [_sorted((), ())]

    def _message(self, event: MessageEmitted, content: bytes | None) -> list[Frame]:
        if content is None:
            return []
        data = msgspec.json.decode(content)
        if event.category == "error":
            dropped = self._spoken.drop(event.vertex)
            return [*dropped, ("error", as_error_event(data))]
        return self._spoken.finish(str(event.message), data)

    def _failure(
        self, recorded: Recorded, event: RunFailed, content: bytes | None
    ) -> list[Frame]:
        if event.vertex is not None:
            return [("end", {})]
        why = failing(content)
        data = error_data(
            why.message,
            message_id=uuid5(recorded.stream, "failure"),
            at=recorded.at,
            flow=self._flow,
            session=self._session,
            source=Source(),
            reason=why.kind,
        )
        return [("error", as_error_event(data)), ("end", {})]


class RunStreamEvents:
    """Tells a run as ``POST /run?stream=true`` does: messages, tokens, the result."""

    def __init__(self) -> None:
        self._spoken = Spoken()

    def hear(self, word: Word) -> list[Frame]:
        """Tell a word."""
        return self._spoken.hear(word)

    def tell(self, recorded: Recorded, content: bytes | None) -> list[Frame]:
        """Tell an event; *content* is what it refers to, if that still exists."""
        match recorded.event:
            case MessageEmitted() as event:
                if content is None or event.category == "error":
                    return []
                data = msgspec.json.decode(content)
                return self._spoken.finish(str(event.message), data)
            case VertexFailed(vertex=vertex):
                return self._spoken.drop(vertex)
            case RunSucceeded():
                result = msgspec.Raw(content if content is not None else b"null")
                return [("end", {"result": result})]
            case RunFailed():
                why = failing(content)
                error = ("error", {"error": why.message})
                return [*self._spoken.drop(), error, ("end", {})]
            case _:
                return []


def failing(content: bytes | None) -> Failing:
    """Return why a run failed, from its content if that still exists."""
    return msgspec.json.decode(content or b"{}", type=Failing)


def _sorted(first: tuple[str, ...], to_run: tuple[str, ...]) -> Frame:
    return ("vertices_sorted", {"ids": first, "to_run": to_run})


def _built(
    event: VertexBuilt | VertexFailed,
    recorded: Recorded,
    content: bytes | None,
    *,
    valid: bool,
) -> Frame:
    build = msgspec.json.decode(content or GONE, type=Build)
    built = event if isinstance(event, VertexBuilt) else None
    return (
        "end_vertex",
        {
            "build_data": {
                "id": event.vertex,
                "inactivated_vertices": event.inactivated,
                "next_vertices_ids": built.next if built else (),
                "top_level_vertices": built.top_level if built else (),
                "valid": valid,
                "params": build.params,
                "data": build.data,
                "timestamp": utc_text(recorded.at),
            }
        },
    )
