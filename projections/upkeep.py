"""What operators do to projections: done, one or several at once, and put on record."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec

from application.ports import Cause, EventStore, Saved
from application.repeats import once
from domain.kernel import DomainError
from domain.operation.events import (
    DeadLetterRetried,
    DeadLetterSkipped,
    OperationEvent,
    ProjectionRebuilt,
    ProjectionSwappedBack,
    RebuildCancelled,
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
    BrokenTablesError,
    DeadLetterNotFoundError,
    EventGoneError,
    NoRebuildError,
    OlderLeaderError,
    OtherVersionError,
    RebuildRunningError,
    UnknownProjectionError,
)
from projections.status import ProjectionStatus, status

_logger = logging.getLogger(__name__)

AT_ONCE: Final = 2
"""How many are rebuilt at a time: each takes up to two connections of the pool's."""


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one of several parked events that were retried at once."""

    letter: str
    outcome: Outcome


class RetriedPage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of parked events, in their order; go on after ``next``."""

    retried: list[Retried]
    next: str | None


class Upkeep:
    """
    The read tables, as operators look after them.

    Every deed that comes to something is saved as an event of its own, with whoever
    asked for it in the envelope. A repeat of a request with the same key is answered
    as the first was, and nothing is done again.
    """

    def __init__(
        self, database: Database, store: EventStore, projectors: Sequence[Projector]
    ) -> None:
        self.letters = DeadLetters(database, store, projectors)
        self._database = database
        self._store = store
        self._projectors = {projector.name: projector for projector in projectors}
        self._turn = asyncio.Semaphore(AT_ONCE)
        # A repeat waits here for what the first came to, instead of a refusal.
        self._beginning = asyncio.Lock()
        self._deciding = asyncio.Lock()
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
        operation: UUID | None = None,
    ) -> Rebuilt:
        """
        Fill a new generation and serve it, as soon as it is its turn.

        It is made from *history* where that is given, which is one with archives, and
        put on record in the stream *operation*.
        """
        projector, read = self._projector(name), history or self._store
        async with self._turn:
            made = await rebuild(
                *(self._database, read, projector, progress),
                page=page,
                archives=history is not None,
            )
        rebuilt = ProjectionRebuilt(
            projection=name,
            generation=made.generation,
            events=made.events,
            duration_ms=round(made.seconds * 1000),
        )
        await self._record(rebuilt, _of_its_own(cause), operation)
        return made

    async def swap_back(
        self,
        name: str,
        *,
        cause: Cause,
        progress: Progress | None = None,
        page: int | None = None,
        operation: UUID | None = None,
    ) -> Rebuilt:
        """Serve the generation that was served before, brought level first."""
        projector = self._projector(name)
        async with self._turn:
            made = await swap_back(
                self._database, self._store, projector, progress, page=page
            )
        swapped = ProjectionSwappedBack(projection=name, generation=made.generation)
        await self._record(swapped, _of_its_own(cause), operation)
        return made

    async def drop_unserved(self) -> int:
        """Remove what is kept of earlier generations; return how many that were."""
        return sum(
            [
                await drop_unserved(self._database, one)
                for one in self._projectors.values()
            ]
        )

    async def cancel(self, name: str, *, cause: Cause) -> None:
        """Stop a rebuild before its next page, wherever it runs."""
        projector = self._projector(name)
        async with self._beginning:
            await once(
                self._store,
                cause,
                again=_nothing_more,
                attempt=lambda: self._cancel(projector, cause),
            )

    async def _cancel(self, projector: Projector, cause: Cause) -> None:
        name = projector.name
        task, generation = self._tasks.get(name), None
        try:
            generation = await cancel(self._database, projector)
        except NoRebuildError:
            # It may still wait for its turn here, or swap back.
            if task is None or not task.cancel():
                raise
        cancelled = RebuildCancelled(projection=name, generation=generation)
        await self._record(cancelled, cause)

    async def begin_rebuild(self, name: str, *, cause: Cause) -> UUID:
        """
        Rebuild in the background; refused at once where it cannot begin.

        Return the stream in which it is put on record once it is done.
        """
        projector = self._projector(name)
        return await self._begin_once(
            name,
            cause,
            may=lambda: may_rebuild(self._database, projector),
            work=lambda operation: self.rebuild(
                name, cause=cause, page=SMALL_PAGE, operation=operation
            ),
        )

    async def begin_swap_back(self, name: str, *, cause: Cause) -> UUID:
        """Swap back in the background, as `begin_rebuild` rebuilds."""
        projector = self._projector(name)
        return await self._begin_once(
            name,
            cause,
            may=lambda: may_swap_back(self._database, projector),
            work=lambda operation: self.swap_back(
                name, cause=cause, page=SMALL_PAGE, operation=operation
            ),
        )

    async def retry(self, place: Place, *, cause: Cause) -> Outcome:
        """Take in a parked event and what waited behind it."""
        async with self._deciding:
            return await once(
                self._store,
                cause,
                again=_outcome_before,
                attempt=lambda: self._retry(place, cause),
            )

    async def _retry(self, place: Place, cause: Cause) -> Outcome:
        letter = await self.letters.get(place)
        outcome = await self.letters.retry(place)
        if outcome.stuck != place.position:
            retried = DeadLetterRetried(
                projection=place.projection,
                log=place.log,
                stream=letter.stream,
                position=place.position,
            )
            await self._record(retried, cause, answer=msgspec.json.encode(outcome))
        return outcome

    async def retry_page(
        self, *, only: str | None, after: Place | None, limit: int, cause: Cause
    ) -> RetriedPage:
        """
        Take in one parked event after the other, and say what became of each.

        What does not go in stops none of the others. A letter that is gone by its
        turn is left out.
        """
        async with self._deciding:
            return await once(
                self._store,
                cause,
                again=_retried_before,
                attempt=lambda: self._retry_page(only, after, limit, cause),
            )

    async def _retry_page(
        self, only: str | None, after: Place | None, limit: int, cause: Cause
    ) -> RetriedPage:
        retried: list[Retried] = []
        found = await self.letters.page(only=only, after=after, limit=limit)
        more = str(found[-1].place) if len(found) == limit else None
        for place in (letter.place for letter in found):
            try:
                outcome = await self._retry(place, _of_its_own(cause))
            except DeadLetterNotFoundError:
                continue
            except (
                *(BrokenTablesError, EventGoneError),
                *(OlderLeaderError, OtherVersionError),
            ) as refused:
                outcome = Outcome(
                    taken=0, stuck=place.position, reason=refused.sentence
                )
            retried.append(Retried(letter=str(place), outcome=outcome))
        done = RetriedPage(retried=retried, next=more)
        await self._store.save(cause=cause, answer=msgspec.json.encode(done))
        return done

    async def skip(self, place: Place, reason: str, *, cause: Cause) -> Outcome:
        """Go on without a parked event, for good."""
        async with self._deciding:
            return await once(
                self._store,
                cause,
                again=_outcome_before,
                attempt=lambda: self._skip(place, reason, cause),
            )

    async def _skip(self, place: Place, reason: str, cause: Cause) -> Outcome:
        letter = await self.letters.get(place)
        outcome = await self.letters.skip(place, reason)
        skipped = DeadLetterSkipped(
            projection=place.projection,
            log=place.log,
            stream=letter.stream,
            position=place.position,
            reason=reason,
        )
        await self._record(skipped, cause, answer=msgspec.json.encode(outcome))
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

    async def _begin_once(
        self,
        name: str,
        cause: Cause,
        *,
        may: Callable[[], Awaitable[None]],
        work: Callable[[UUID], Coroutine[Any, Any, Rebuilt]],
    ) -> UUID:
        async def attempt() -> UUID:
            if name in self._tasks:
                raise RebuildRunningError(name)
            await may()
            operation = uuid4()
            saved = await self._store.save(cause=cause, answer=operation.bytes)
            if saved.repeated:  # on another server, meanwhile
                return await _operation_before(saved)
            self._begin(name, work(operation))
            return operation

        async with self._beginning:
            return await once(
                self._store, cause, again=_operation_before, attempt=attempt
            )

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

    async def _record(
        self,
        done: OperationEvent,
        cause: Cause,
        operation: UUID | None = None,
        *,
        answer: bytes = b"",
    ) -> None:
        recorded = Operation.of(operation or uuid4(), done)
        await self._store.save(recorded, cause=cause, answer=answer)


async def _operation_before(saved: Saved) -> UUID:
    return UUID(bytes=saved.answer)


async def _nothing_more(_: Saved) -> None:
    pass


async def _outcome_before(saved: Saved) -> Outcome:
    return msgspec.json.decode(saved.answer, type=Outcome)


async def _retried_before(saved: Saved) -> RetriedPage:
    return msgspec.json.decode(saved.answer, type=RetriedPage)


def _of_its_own(cause: Cause) -> Cause:
    # The key's answer was kept when it began, or is kept when all of it has ended.
    return msgspec.structs.replace(
        cause, command_id=uuid4(), idempotent=False, request_hash=b""
    )
