"""Keeps every projection level with the logs, and tells who waits for it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, override

from application.ports import EventStore, Freshness, Position
from infrastructure.postgres import Database
from projections.follower import Follower
from projections.leadership import INTERVAL, Leadership
from projections.letters import DeadLetters
from projections.projector import LOGS, Projector
from projections.pulse import Pulse
from projections.rebuild import ensure
from projections.status import ProjectionStatus, status
from projections.tail import POLL, Tail, WakeUps, connect
from projections.watermarks import Watermarks

if TYPE_CHECKING:
    from domain.kernel import Log


class Daemon(Freshness):
    """
    Runs any number of projectors in this process.

    Any number of daemons may run on one database: each projection is led by one of
    them, and the others take over when it goes.
    """

    def __init__(
        self,
        database: Database,
        store: EventStore,
        projectors: Sequence[Projector],
        listener: WakeUps | None = None,
        *,
        poll: float = POLL,
        interval: float = INTERVAL,
    ) -> None:
        self.tails: dict[Log, Tail] = {log: Tail(store, log, poll=poll) for log in LOGS}
        self._database = database
        self._store = store
        self._projectors = tuple(projectors)
        self._listener = listener
        self._marks = Watermarks({p.name: p.logs for p in projectors})
        self.pulse = Pulse(self._marks, self.tails)
        self._leadership = Leadership(
            database.dsn, [p.name for p in projectors], interval=interval
        )
        letters = DeadLetters(database, store, projectors)
        self._followers = [
            Follower(
                database,
                projector,
                tails=self.tails,
                leadership=self._leadership,
                marks=self._marks,
                letters=letters,
            )
            for projector in projectors
        ]
        self._tasks: list[asyncio.Task[None]] = []
        self._disconnect: Callable[[], None] | None = None

    async def start(self) -> None:
        """See that all tables are there, and begin to follow."""
        for projector in self._projectors:
            await ensure(self._database, self._store, projector)
        tails = list(self.tails.values())
        for follower in self._followers:
            self._leadership.on_change(follower.wake)
            for log in follower.projector.logs:
                self.tails[log].subscribe(follower.wake)
        self._disconnect = connect(tails, self._store, self._listener)
        for tail in tails:
            await tail.start()
        await self._leadership.start()
        await self.pulse.start()
        self._tasks = [
            asyncio.create_task(follower.run(), name=follower.projector.name)
            for follower in self._followers
        ]

    async def stop(self) -> None:
        """Store the checkpoints, and let others lead."""
        if self._disconnect is not None:
            self._disconnect()
            self._disconnect = None
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        await self.pulse.stop()
        await self._leadership.stop()
        for tail in self.tails.values():
            await tail.stop()

    @override
    async def reached(self, position: Position, *, within: float) -> bool:
        return await self._marks.reached(position, within=within)

    def positions(self) -> Position:
        """Return the place that every projection has passed."""
        return self._marks.position

    def lag(self) -> Position:
        """Return how many positions the slowest projection is behind each log."""
        passed = self.positions()
        return Position(
            core=max(0, self.tails["core"].last - passed.core),
            runs=max(0, self.tails["runs"].last - passed.runs),
        )

    def leads(self, name: str) -> bool:
        """Tell whether this process writes the projection *name*."""
        return self._leadership.leads(name)

    async def status(self) -> list[ProjectionStatus]:
        """Return how each generation of each projection stands."""
        return await status(self._database, self._store)
