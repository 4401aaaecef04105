"""How far all projections have got, and who waits for that."""

import asyncio
from collections.abc import Iterable, Mapping
from heapq import heappop, heappush
from itertools import count

from application.ports import Position
from domain.kernel import Log
from projections.projector import LOGS


class Watermarks:
    """
    The lowest place of any projection in each log.

    Waiters stand in order of what they wait for, so an advance costs what it frees.
    """

    def __init__(self, readers: Mapping[str, Iterable[Log]]) -> None:
        self._places: dict[Log, dict[str, int]] = {log: {} for log in LOGS}
        for name, logs in readers.items():
            for log in logs:
                self._places[log][name] = 0
        self._marks: dict[Log, int] = {}
        self._waiting: dict[Log, list[tuple[int, int, asyncio.Future[None]]]] = {
            log: [] for log in LOGS
        }
        self._order = count()

    @property
    def position(self) -> Position:
        """The place that every projection has passed."""
        return Position(core=self._mark("core"), runs=self._mark("runs"))

    @property
    def awaited(self) -> bool:
        """Tell whether anybody waits."""
        return any(self._waiting.values())

    def places(self, log: Log) -> Mapping[str, int]:
        """Return the place of each projection that reads *log*."""
        return self._places[log]

    def advance(self, name: str, log: Log, position: int) -> None:
        """Note that *name* has passed *position*, and free who waited for it."""
        places = self._places[log]
        if position <= places[name]:
            return
        places[name] = position
        mark, waiting = self._mark(log), self._waiting[log]
        while waiting and (waiting[0][0] <= mark or waiting[0][2].done()):
            future = heappop(waiting)[2]
            if not future.done():
                future.set_result(None)

    async def reached(self, position: Position, *, within: float) -> bool:
        """Wait until every projection has passed *position*, *within* seconds."""
        try:
            async with asyncio.timeout(within):
                for log in LOGS:
                    await self._passed(log, getattr(position, log))
        except TimeoutError:
            return False
        return True

    async def _passed(self, log: Log, position: int) -> None:
        if position <= self._mark(log) or not self._places[log]:
            return
        future = asyncio.get_running_loop().create_future()
        heappush(self._waiting[log], (position, next(self._order), future))
        await future

    def _mark(self, log: Log) -> int:
        return min(self._places[log].values(), default=0)
