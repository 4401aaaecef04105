"""A place to tell facts, and projections that take them in."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar, override
from uuid import UUID, uuid4

from sqlalchemy import select

from application.ports import SYSTEM, Cause, EventStore, Position
from domain.kernel import Aggregate, ContentRef, Event, Log
from infrastructure.postgres import Database
from projections.daemon import Daemon
from projections.projector import Projector, log_of
from projections.reading import Views

OWNER = UUID(int=7)
OTHER = UUID(int=8)


class CoreFacts(Aggregate[Event]):
    """Says whatever it is told to, in the log of what is kept for ever."""

    def say(self, *events: Event) -> None:
        for event in events:
            self._record(event)

    @override
    def _apply(self, event: Event) -> None:
        pass


class RunsFacts(CoreFacts):
    """The same in the log of runs."""

    log: ClassVar[Log] = "runs"


def content() -> ContentRef:
    return ContentRef(uuid4(), "ab" * 32, 12)


class Journal:
    """Appends facts to a store, and waits for the daemon to have taken them in."""

    def __init__(self, store: EventStore, database: Database) -> None:
        self.store = store
        self.database = database
        self.position = Position()

    async def tell(self, stream: UUID, *events: Event) -> Position:
        """Append to *stream*, to the log that its first event belongs in."""
        kind = RunsFacts if log_of(type(events[0])) == "runs" else CoreFacts
        facts = kind(stream)
        facts.say(*events)
        cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
        saved = await self.store.save(cause=cause, anywhere=[facts])
        self.position = self.position.upto(saved.position)
        return saved.position

    @asynccontextmanager
    async def followed_by(self, *projectors: Projector) -> AsyncIterator[Daemon]:
        """Run a daemon until the end of the block."""
        daemon = Daemon(self.database, self.store, projectors, poll=0.1, interval=0.1)
        await daemon.start()
        try:
            yield daemon
        finally:
            await daemon.stop()

    async def project(self, *projectors: Projector) -> None:
        """Take in all that was told so far, then stop."""
        async with self.followed_by(*projectors) as daemon:
            assert await daemon.reached(self.position, within=30)

    async def rows(self, projector: Projector) -> dict[str, list[tuple[Any, ...]]]:
        """Return what the stable views show of each of the projector's tables."""
        views = Views(self.database.engine)
        return {
            table.name: sorted(tuple(row) for row in await views._all(select(table)))
            for table in projector.tables.sorted_tables
        }


async def until(condition: Any, *, within: float = 30) -> None:
    """Wait until *condition*, a function, is true."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


def ids(rows: Sequence[Any]) -> list[UUID]:
    return [row.id for row in rows]
