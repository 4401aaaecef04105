"""How fast a rebuild goes, and how long it has still to go."""

import time
from collections.abc import Callable


class Pace:
    """How fast a rebuild goes, from what it tells; a monotonic clock counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, int] | None = None

    def begin(self, done: int) -> None:
        """Count from now; what was *done* before is no merit of this time."""
        self._began = (self._clock(), done)

    def told(self, done: int, total: int) -> tuple[float, float | None]:
        """Return events a second, and the seconds that are left if that is known."""
        now = self._clock()
        if self._began is None:
            self._began = (now, done)
        since, first = self._began
        rate = (done - first) / max(now - since, 1e-6)
        return rate, (total - done) / rate if rate else None
