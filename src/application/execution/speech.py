"""Tokens on their way into the chat: signals, batched, which may be lost."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import msgspec

from application.ports import Signals
from domain.kernel import Json

PAUSE = 0.04
"""Seconds that chunks gather before they go out together."""
TOLD_AGAIN = 1_000
"""After so many pieces a text is told from its beginning, for whoever comes late."""


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

    @property
    def of(self) -> str:
        """The id of the message."""
        return str(self.message["id"])


class Token(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="token"):
    """
    A piece of text; ``offset`` is how many characters went before it.

    A reader who missed a piece sees it by the offset. Now and then a piece is all of
    the text so far: who has heard that already leaves it away.
    """

    at: int
    message: str
    offset: int
    chunk: str
    timestamp: str

    @property
    def of(self) -> str:
        """The id of the message."""
        return self.message


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
        self._pieces: list[str] = []
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
            await self._open()
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
        if not chunk:
            return
        offset, self._said = self._said, self._said + len(chunk)
        self._pieces.append(chunk)
        await self._piece(chunk, offset)
        if len(self._pieces) > TOLD_AGAIN:
            # A tail of signals has an end: it must not lose where a text began.
            self._pieces = ["".join(self._pieces)]
            await self._open()
            await self._piece(self._pieces[0], 0)

    async def _open(self) -> None:
        await self._say(
            Opened(at=self._version(), vertex=self._vertex, message=self.message)
        )

    async def _piece(self, chunk: str, offset: int) -> None:
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
