"""A run as it is told over a WebSocket: what is said, piece by piece and whole."""

from typing import Any, Final
from uuid import UUID

import msgspec

from api.chat_events import Frame, Spoken, failing
from application.execution.messages import as_error_event
from application.execution.speech import Word
from application.ports import Recorded
from domain.run.events import (
    MessageEmitted,
    RunCancelled,
    RunFailed,
    RunSucceeded,
    VertexFailed,
)

_NAMES: Final = {"add_message": "stream"}
_STATUS: Final = {
    RunSucceeded: "succeeded",
    RunFailed: "failed",
    RunCancelled: "cancelled",
}


class ChatTelling:
    """
    Tells the messages of a run: begun, token by token, and whole; then how it ended.

    Whoever has been told it up to version *after* of the run's stream is told the
    rest; of a message that had only begun by then, all its tokens once more.
    """

    def __init__(self, after: int = 0) -> None:
        self._after = after
        self._spoken = Spoken()
        self._lengths: dict[str, int] = {}
        self._held: list[tuple[str, Frame]] | None = [] if after else None

    def hear(self, word: Word) -> list[Frame]:
        """Tell a word."""
        frames = [self._piece(*frame) for frame in self._spoken.hear(word)]
        if self._held is None:
            return frames
        self._held += [(str(data["id"]), (name, data)) for name, data in frames]
        return []

    def tell(self, recorded: Recorded, content: bytes | None) -> list[Frame]:
        """Tell an event; *content* is what it refers to, if that still exists."""
        frames = self._told(recorded, content)
        held = self._held
        if held is None:
            return frames
        if isinstance(recorded.event, MessageEmitted):
            self._drop(str(recorded.event.message))
        for name, data in frames:
            if name == "remove_message":
                self._drop(data["id"])
        if recorded.version < self._after:
            return []
        missed = [frame for _, frame in self._held or ()]
        self._held = None
        return missed + (frames if recorded.version > self._after else [])

    def _piece(self, name: str, data: dict[str, Any]) -> Frame:
        message = str(data["id"])
        if name != "token":
            return _NAMES.get(name, name), data
        offset = self._lengths.get(message, 0)
        self._lengths[message] = offset + len(data["chunk"])
        return name, {**data, "offset": offset}

    def _told(self, recorded: Recorded, content: bytes | None) -> list[Frame]:
        match recorded.event:
            case MessageEmitted() as event if content is not None:
                return self._message(event.message, event, msgspec.json.decode(content))
            case VertexFailed(vertex=vertex):
                return self._spoken.drop(vertex)
            case RunSucceeded() | RunFailed() | RunCancelled() as event:
                return self._end(event, content)
            case _:
                return []

    def _message(
        self, message: UUID, event: MessageEmitted, data: dict[str, Any]
    ) -> list[Frame]:
        if event.category == "error":
            said = as_error_event(data)
            error = {"message": str(data.get("text", "")), "data": said}
            return [*self._spoken.drop(event.vertex), ("error", error)]
        self._spoken.finish(str(message), data)
        return [("message", data)]

    def _end(
        self, event: RunSucceeded | RunFailed | RunCancelled, content: bytes | None
    ) -> list[Frame]:
        frames = self._spoken.drop()
        if isinstance(event, RunFailed) and event.vertex is None:
            frames.append(("error", {"message": failing(content).message}))
        return [*frames, ("end", {"status": _STATUS[type(event)]})]

    def _drop(self, message: str) -> None:
        if self._held is not None:
            self._held = [one for one in self._held if one[0] != message]
