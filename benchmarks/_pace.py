"""How fast something went, and what it cost this process."""

import time

import msgspec

from benchmarks.append import cpu


class Pace(msgspec.Struct, frozen=True):
    """Events a second, and this process's CPU for each in microseconds."""

    rate: float
    cpu: float


class Stopwatch:
    """Counts time and this process's CPU from when it was made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), cpu()

    def pace(self, events: int) -> Pace:
        seconds = time.perf_counter() - self._began
        return Pace(events / seconds, (cpu() - self._cpu) / events * 1e6)
