"""Tells a projection that is behind but gets on from one that is stuck."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from domain.kernel import Log
from projections.status import Health
from projections.tail import Tail
from projections.watermarks import Watermarks

INTERVAL: Final = 1.0
PATIENCE: Final = 30
"""How many looks in a row may find a projection behind, and where it was."""

WORST: Final[tuple[Health, ...]] = ("level", "lagging", "stuck")


class Pulse:
    """
    Looks once a second how far each projection is, as this process knows it.

    It counts looks, not seconds: no clock that jumps, and no sleep of the machine,
    makes a projection look stuck.
    """

    def __init__(self, marks: Watermarks, tails: Mapping[Log, Tail]) -> None:
        self._marks = marks
        self._tails = tails
        self._seen: dict[tuple[str, Log], int] = {}
        self._still: dict[tuple[str, Log], int] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._run(), name="pulse of projections")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def look(self) -> None:
        """Note who has moved since the last look, or has nothing to do."""
        for log, tail in self._tails.items():
            for name, place in self._marks.places(log).items():
                key = (name, log)
                moved = place != self._seen.get(key)
                done = place >= tail.last and not tail.failing
                self._still[key] = 0 if moved or done else self._still[key] + 1
                self._seen[key] = place

    @property
    def worst(self) -> Health:
        """How the one does that does worst."""
        return max(self.health().values(), default="level", key=WORST.index)

    def health(self) -> dict[str, Health]:
        """Return how each projection does, by name."""
        found: dict[str, Health] = {}
        for (name, _), still in self._still.items():
            health: Health = "level"
            if still:
                health = "stuck" if still >= PATIENCE else "lagging"
            found[name] = max(found.get(name, health), health, key=WORST.index)
        return found

    async def _run(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(INTERVAL)
