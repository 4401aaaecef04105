"""The last lines of this process's log, for operators to read over HTTP."""

import asyncio
import logging
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final, NamedTuple, override

LONGEST_LINE: Final = 4_096
MOST_FOLLOWERS: Final = 16
MOST_WAITING: Final = 1_000
"""Lines kept for a follower that does not come to read; later ones are lost to it."""
IDLE: Final = 5.0


class Line(NamedTuple):
    """A line, and when it was written: milliseconds since 1970, each only once."""

    at: int
    text: str


class LogLines(logging.Handler):
    """
    Keeps the newest lines of the log, at most *most*.

    No line is longer than 4,096 characters. What it holds is what the log holds: no
    secret is ever logged, and this is no place where that could be mended.
    """

    def __init__(self, most: int) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self._lines: deque[Line] = deque(maxlen=most)
        self._followers: set[asyncio.Queue[Line]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @override
    def emit(self, record: logging.LogRecord) -> None:
        # Without its traceback, which is for the log alone.
        bare = logging.makeLogRecord(record.__dict__ | {"exc_info": None})
        bare.exc_text = bare.stack_info = None
        text = self.format(bare)[:LONGEST_LINE]
        at = round(record.created * 1000)
        if self._lines and at <= self._lines[-1].at:
            at = self._lines[-1].at + 1
        line = Line(at, text)
        self._lines.append(line)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, line)

    def around(self, at: int, *, before: int, after: int) -> list[Line]:
        """Return lines before *at*, or from it on; all lines if it is 0."""
        lines = list(self._lines)
        times = [line.at for line in lines]
        if after:
            begin = bisect_left(times, at)
            return lines[begin : begin + after]
        end = bisect_right(times, at) if at else len(lines)
        return lines[max(0, end - before) : end]

    async def follow(self) -> AsyncGenerator[Line | None]:
        """Yield the lines there are and then new ones; ``None`` when all is quiet."""
        self._loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Line] = asyncio.Queue(MOST_WAITING)
        known = list(self._lines)
        self._followers.add(waiting)
        try:
            for line in known:
                yield line
            while True:
                line_or_none: Line | None = None
                with suppress(TimeoutError):
                    async with asyncio.timeout(IDLE):
                        line_or_none = await waiting.get()
                yield line_or_none
        finally:
            self._followers.discard(waiting)

    @property
    def crowded(self) -> bool:
        """Tell whether as many follow as may."""
        return len(self._followers) >= MOST_FOLLOWERS

    def _tell(self, line: Line) -> None:
        for waiting in self._followers:
            with suppress(asyncio.QueueFull):
                waiting.put_nowait(line)
