"""What operators do to projections: done, one or several at once, and put on record."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import msgspec

from application.ports import Cause, EventStore
from domain.kernel import DomainError
from domain.operation.events import (
    DeadLetterRetried,
    DeadLetterSkipped,
    OperationEvent,
    ProjectionRebuilt,
    ProjectionSwappedBack,
)
from domain.operation.operation import Operation
from infrastructure.postgres import Database
from projections.letters import DeadLetters, Outcome, Place
from projections.projector import Projector
from projections.rebuild import (
    SMALL_PAGE,
    Progress,
    Rebuilt,
    cancel,
    drop_unserved,
    may_rebuild,
    may_swap_back,
    rebuild,
    swap_back,
)
from projections.refusals import (
    NoRebuildError,
    RebuildRunningError,
    UnknownProjectionError,
)
from projections.status import ProjectionStatus, status

_logger = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""How many are rebuilt at a time: each takes up to two connections of the pool's."""


class Upkeep:
    """
    The read tables, as operators look after them.

    Every deed that comes to something is saved as an event of its own, with whoever
    asked for it in the envelope.
    """

    def __init__(
        self, database: Database, store: EventStore, projectors: Sequence[Projector]
    ) -> None:
        self.letters = DeadLetters(database, store, projectors)
        self._database = database
        self._store = store
        self._projectors = {projector.name: projector for projector in projectors}
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def names(self) -> list[str]:
        """The names of all projections."""
        return list(self._projectors)

    async def status(self, only: str | None = None) -> list[ProjectionStatus]:
        """Return how every projection stands, or the *only* one asked for."""
        if only is not None:
            self._projector(only)
        return await status(self._database, self._store, only=only)

    async def rebuild(
        self,
        name: str,
        *,
        cause: Cause,
        progress: Progress | None = None,
        page: int | None = None,
        history: EventStore | None = None,
    ) -> Rebuilt:
        """
        Fill a new generation and serve it, as soon as it is its turn.

        It is made from *history* where that is given, such as one with archives.
        """
        projector, read = self._projector(name), history or self._store
        async with self._turn:
            made = await rebuild(self._database, read, projector, progress, page=page)
        rebuilt = ProjectionRebuilt(
            projection=name,
            generation=made.generation,
            events=made.events,
            duration_ms=round(made.seconds * 1000),
        )
        await self._record(rebuilt, cause)
        return made

    async def swap_back(
        self,
        name: str,
        *,
        cause: Cause,
        progress: Progress | None = None,
        page: int | None = None,
    ) -> Rebuilt:
        """Serve the generation that was served before, brought level first."""
        projector = self._projector(name)
        async with self._turn:
            made = await swap_back(
                self._database, self._store, projector, progress, page=page
            )
        swapped = ProjectionSwappedBack(projection=name, generation=made.generation)
        await self._record(swapped, cause)
        return made

    async def drop_unserved(self) -> int:
        """Remove what is kept of earlier generations; return how many that were."""
        return sum(
            [
                await drop_unserved(self._database, one)
                for one in self._projectors.values()
            ]
        )

    async def cancel(self, name: str) -> None:
        """Stop a rebuild before its next page, wherever it runs."""
        projector, task = self._projector(name), self._tasks.get(name)
        try:
            await cancel(self._database, projector)
        except NoRebuildError:
            # It may still wait for its turn here, or swap back.
            if task is None or not task.cancel():
                raise

    async def begin_rebuild(self, name: str, *, cause: Cause) -> None:
        """Rebuild in the background; refused at once where it cannot begin."""
        self._refuse_another(name)
        await may_rebuild(self._database, self._projector(name))
        self._begin(name, self.rebuild(name, cause=cause, page=SMALL_PAGE))

    async def begin_swap_back(self, name: str, *, cause: Cause) -> None:
        """Swap back in the background; refused at once where it cannot begin."""
        self._refuse_another(name)
        await may_swap_back(self._database, self._projector(name))
        self._begin(name, self.swap_back(name, cause=cause, page=SMALL_PAGE))

    async def retry(self, place: Place, *, cause: Cause) -> Outcome:
        """Take in a parked event and what waited behind it."""
        letter = await self.letters.get(place)
        outcome = await self.letters.retry(place)
        if outcome.stuck != place.position:
            retried = DeadLetterRetried(
                projection=place.projection,
                log=place.log,
                stream=letter.stream,
                position=place.position,
            )
            await self._record(retried, cause)
        return outcome

    async def skip(self, place: Place, reason: str, *, cause: Cause) -> Outcome:
        """Go on without a parked event, for good."""
        letter = await self.letters.get(place)
        outcome = await self.letters.skip(place, reason)
        skipped = DeadLetterSkipped(
            projection=place.projection,
            log=place.log,
            stream=letter.stream,
            position=place.position,
            reason=reason,
        )
        await self._record(skipped, cause)
        return outcome

    async def stop(self) -> None:
        """Interrupt what runs in the background; the next rebuild goes on with it."""
        for task in self._tasks.values():
            task.cancel()
        for task in tuple(self._tasks.values()):
            with suppress(asyncio.CancelledError):
                await task

    def _projector(self, name: str) -> Projector:
        projector = self._projectors.get(name)
        if projector is None:
            raise UnknownProjectionError(name)
        return projector

    def _refuse_another(self, name: str) -> None:
        if name in self._tasks:
            raise RebuildRunningError(name)

    def _begin(self, name: str, work: Coroutine[Any, Any, Rebuilt]) -> None:
        async def carried_out() -> None:
            try:
                made = await work
            except DomainError as refused:
                _logger.warning("Projection %s: %s", name, refused.sentence)
            except Exception:
                # Nobody waits for its answer; it stays interrupted, for all to see.
                _logger.exception("Projection %s was not finished", name)
            else:
                _logger.info("Projection %s serves %s", name, made)

        task = asyncio.create_task(carried_out(), name=f"upkeep of {name}")
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._forget(name, task))

    def _forget(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task:
            del self._tasks[name]

    async def _record(self, done: OperationEvent, cause: Cause) -> None:
        operation = Operation.of(uuid4(), done)
        await self._store.save(operation, cause=_cause_of(cause))


def _cause_of(cause: Cause) -> Cause:
    # One request may do several things, and its answer is not kept with any of them.
    return msgspec.structs.replace(
        cause, command_id=uuid4(), idempotent=False, request_hash=b""
    )


class Pace:
    """How fast a rebuild goes, from what it tells; a monotonic clock counts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: tuple[float, int] | None = None

    def told(self, done: int, total: int) -> tuple[float, float | None]:
        """Return events a second, and the seconds that are left if that is known."""
        now = self._clock()
        if self._began is None:
            # What an interrupted one had done before is no merit of this one.
            self._began = (now, done)
        since, first = self._began
        rate = (done - first) / max(now - since, 1e-6)
        return rate, (total - done) / rate if rate else None
