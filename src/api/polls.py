"""Polling readers: what each has been told of a run, from one poll to the next."""

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from uuid import UUID

from api.chat_events import BuildEvents
from api.streams import RunStreams, Told, line

LONGEST = 20.0
"""Seconds that a poll waits for something to tell; then it answers with nothing."""
GATHER = 0.005
"""Seconds that a poll waits for more, once it has something."""
IDLE = 300.0
READERS = 1_000
END = line(("end", {}))

type Key = tuple[UUID, str]


class _Reader:
    """One client's way through one run."""

    def __init__(self, streams: RunStreams, run: UUID, after: int) -> None:
        self.used = time.monotonic()
        self.turn = asyncio.Lock()
        self._stream = streams.told(run, BuildEvents())
        self._after = after
        self._coming: asyncio.Future[Told] | None = None
        self._over = False

    async def poll(self) -> bytes:
        """Return what there is to tell; wait for it, but not for ever."""
        lines: list[bytes] = []
        patience = LONGEST
        while not self._over and (told := await self._next(patience)) is not None:
            if told.version > self._after:
                lines += [line(frame) for frame in told.frames]
            patience = GATHER if lines else LONGEST
        if self._over and not lines:
            return END
        return b"\n".join(lines)

    async def close(self) -> None:
        """Stop reading."""
        if self._coming is not None:
            self._coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await self._coming
        await self._stream.aclose()

    async def _next(self, patience: float) -> Told | None:
        coming = self._coming or asyncio.ensure_future(anext(self._stream))
        self._coming = coming
        done, _ = await asyncio.wait({coming}, timeout=patience)
        if not done:
            return None
        self._coming = None
        if coming.cancelled():  # too many readers: this one was closed meanwhile
            return None
        try:
            return coming.result()
        except StopAsyncIteration:
            self._over = True
            return None


class Polls:
    """
    A reader for each run and credential, kept as long as it polls.

    A reader that was forgotten, or that polls another server, begins again: with
    ``after`` it can say from where.
    """

    def __init__(self, streams: RunStreams) -> None:
        self._streams = streams
        self._readers: OrderedDict[Key, _Reader] = OrderedDict()

    async def poll(self, run: UUID, credential: str, *, after: int | None) -> bytes:
        """Return the lines that this reader of *run* has not been told yet."""
        if after is not None:
            reader = _Reader(self._streams, run, after)
            try:
                return await reader.poll()
            finally:
                await reader.close()
        reader = self._reader((run, credential))
        await self._forget_idle()
        async with reader.turn:
            return await reader.poll()

    async def close(self) -> None:
        """Forget every reader."""
        while self._readers:
            _, reader = self._readers.popitem()
            await reader.close()

    def _reader(self, key: Key) -> _Reader:
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = _Reader(self._streams, key[0], 0)
        reader.used = time.monotonic()
        self._readers.move_to_end(key)
        return reader

    async def _forget_idle(self) -> None:
        oldest = time.monotonic() - IDLE
        while self._readers:
            key, reader = next(iter(self._readers.items()))
            if reader.used > oldest and len(self._readers) <= READERS:
                return
            del self._readers[key]
            await reader.close()
