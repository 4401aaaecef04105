"""Room for so many runs at once, and a bounded queue for the next ones."""

import asyncio
from collections import deque

from application.ports import StoreBusyError


class TooManyRunsError(StoreBusyError):
    """The server runs as many flows as it can; try again in a moment."""


class Slot:
    """A place to run in, now or once somebody else has left one."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether the run may start."""
        return self.free.is_set()


class Slots:
    """Hands out slots in the order in which they were asked for."""

    def __init__(self, *, running: int, queued: int) -> None:
        self._room = running
        self._longest = queued
        self._taken: set[Slot] = set()
        self._queue: deque[Slot] = deque()

    def take(self) -> Slot:
        """Return a slot, ready or queued, or raise `TooManyRunsError`."""
        slot = Slot()
        if len(self._taken) < self._room:
            self._taken.add(slot)
            slot.free.set()
        elif len(self._queue) < self._longest:
            self._queue.append(slot)
        else:
            raise TooManyRunsError(
                f"{len(self._taken)} run and {len(self._queue)} wait already"
            )
        return slot

    def leave(self, slot: Slot) -> None:
        """Give a slot back; whoever waits longest gets it."""
        if slot in self._taken:
            self._taken.discard(slot)
            while self._queue and len(self._taken) < self._room:
                following = self._queue.popleft()
                self._taken.add(following)
                following.free.set()
        elif slot in self._queue:
            self._queue.remove(slot)
