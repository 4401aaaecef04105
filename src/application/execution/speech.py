"""Tokens on their way into the chat: signals, batched, which may be lost."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import msgspec

from application.ports import Signals
from domain.kernel import Json

PAUSE = 0.04
"""Seconds that chunks gather before they go out together."""


def channel(run: UUID) -> str:
    """Return the channel on which a run's tokens are said."""
    return f"run:{run}"


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="open"):
    """
    A message begins, still without text.

    ``at`` is the version of the run's stream after which this was said: what tells
    a reader its place among the events.
    """

    at: int
    vertex: str
    message: dict[str, Json]


class Token(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="token"):
    """
    A piece of text; ``offset`` is how many characters went before it.

    A reader who missed a piece sees it by the offset, and waits for the whole text.
    """

    at: int
    message: str
    offset: int
    chunk: str
    timestamp: str


type Word = Opened | Token

read = msgspec.json.Decoder(Opened | Token).decode


class Speech:
    """One message spoken token by token."""

    def __init__(
        self,
        signals: Signals,
        run: UUID,
        *,
        vertex: str,
        message: dict[str, Json],
        version: Callable[[], int],
    ) -> None:
        self.message = message
        self._signals = signals
        self._channel = channel(run)
        self._vertex = vertex
        self._version = version
        self._said = 0
        self._waiting: list[str] = []
        self._flushing: asyncio.Task[None] | None = None
        self._opened = False

    @property
    def id(self) -> str:
        """The id of the message, which the finished one will bear."""
        return str(self.message["id"])

    async def token(self, chunk: str) -> None:
        """Say *chunk*: the first at once, the rest as they gather."""
        if not chunk:
            return
        self._waiting.append(chunk)
        if not self._opened:
            self._opened = True
            await self._say(
                Opened(at=self._version(), vertex=self._vertex, message=self.message)
            )
            await self._flush()
        elif self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_soon())

    async def close(self) -> None:
        """Say what is left; nothing is said after it."""
        if self._flushing is not None:
            if self._waiting:  # it still sleeps; past that, it must not be cut short
                self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
        await self._flush()

    async def _flush_soon(self) -> None:
        await asyncio.sleep(PAUSE)
        await self._flush()

    async def _flush(self) -> None:
        chunk = "".join(self._waiting)
        self._waiting.clear()
        if chunk:
            offset, self._said = self._said, self._said + len(chunk)
            await self._say(
                Token(
                    at=self._version(),
                    message=self.id,
                    offset=offset,
                    chunk=chunk,
                    timestamp=str(self.message["timestamp"]),
                )
            )

    async def _say(self, word: Word) -> None:
        await self._signals.say(self._channel, msgspec.json.encode(word))
