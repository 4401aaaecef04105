"""Counts within one process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple, override

from application.ports.tallies import Tallies, Tally

MOST: Final = 100_000
"""Counts kept; beyond it the oldest is forgotten."""


class _Counted(NamedTuple):
    times: int
    until: float


class MemoryTallies(Tallies):
    """Counts that this process alone knows."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, most: int = MOST
    ) -> None:
        self._clock = clock
        self._most = most
        self._counted: OrderedDict[str, _Counted] = OrderedDict()

    @override
    async def add(self, what: str, *, within: float) -> Tally:
        now = self._clock()
        known = self._known(what, now)
        counted = _Counted(1, now + within)
        if known is not None:
            counted = known._replace(times=known.times + 1)
        elif len(self._counted) >= self._most:
            self._counted.popitem(last=False)
        self._counted[what] = counted
        return Tally(counted.times, counted.until - now)

    @override
    async def look(self, what: str) -> Tally:
        now = self._clock()
        known = self._known(what, now)
        return Tally(0, 0.0) if known is None else Tally(known.times, known.until - now)

    @override
    async def forget(self, what: str) -> None:
        self._counted.pop(what, None)

    def _known(self, what: str, now: float) -> _Counted | None:
        known = self._counted.get(what)
        if known is not None and known.until <= now:
            del self._counted[what]
            return None
        return known
