"""How often somebody may fail to sign in, before the door is closed for a while."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from domain.kernel import DomainError

FAILURES: Final = 10
WINDOW: Final = timedelta(minutes=5)
WATCHED: Final = 50_000


class TooManyFailuresError(DomainError):
    """Too many failed attempts to sign in; try again later."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class Failures:
    """
    Failed attempts per name and address, in this process.

    Ten within five minutes close the door until the oldest of them is forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def check(self, username: str, address: str) -> None:
        """Refuse while the door is closed."""
        recent = self._recent(username, address)
        if len(recent) >= FAILURES:
            left = WINDOW.total_seconds() - (self._clock() - recent[0])
            raise TooManyFailuresError(max(1, int(left) + 1))

    def note(self, username: str, address: str) -> bool:
        """Count one more; tell whether it closes the door."""
        recent = self._recent(username, address)
        recent.append(self._clock())
        self._seen[username, address] = recent
        self._seen.move_to_end((username, address))
        if len(self._seen) > WATCHED:
            self._seen.popitem(last=False)
        return len(recent) == FAILURES

    def forget(self, username: str, address: str) -> None:
        """Begin anew, for the right password was given."""
        self._seen.pop((username, address), None)

    def _recent(self, username: str, address: str) -> deque[float]:
        recent = self._seen.get((username, address), deque())
        while recent and self._clock() - recent[0] > WINDOW.total_seconds():
            recent.popleft()
        return recent
