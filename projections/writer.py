"""Writes one generation of a projection: rows and checkpoint together, fenced."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import psycopg
from psycopg import AsyncConnection

from application.ports import Recorded
from domain.kernel import Log
from infrastructure.event_store.mapper import UnreadableEvent
from infrastructure.postgres import Database
from projections import checkpoints, generations
from projections.checkpoints import Failure, FencedError, Held, State
from projections.intake import Intake, tag_stored
from projections.projector import Projector
from projections.refusals import BrokenTablesError
from projections.rows import clean
from projections.statements import Statement

if TYPE_CHECKING:
    from uuid import UUID

_log = logging.getLogger(__name__)

TRIES = 3
PAUSE = 0.05
ERROR_LENGTH = 2000
PATIENCE = 5.0
"""Seconds that a rebuild waits for the live one to have met what it stumbles over."""

type OnPoison = Literal["park", "stop"]


class ForeignShapeError(Exception):
    """These tables were made by another version of the projector."""


class PoisonError(Exception):
    """An event could not be taken in, and this writer may not park it."""

    def __init__(self, poison: Recorded, reason: str) -> None:
        super().__init__(reason)
        self.poison = poison
        self.reason = reason

    @property
    def failure(self) -> Failure:
        """Say which event it was, and what was wrong."""
        return Failure(
            reason=self.reason,
            log=self.poison.log,
            position=self.poison.position,
            stream=self.poison.stream,
            tag=tag_stored(self.poison),
        )


class Writer:
    """
    Carries a generation forward; the only one who may, as the fence makes sure.

    A batch that fails is halved until the event at fault is found. That event is
    parked as a dead letter and its stream held, while every other stream goes on; or
    the writer stops there, with all before it taken in.
    """

    def __init__(
        self,
        database: Database,
        projector: Projector,
        generation: int,
        *,
        state: State = "live",
        on_poison: OnPoison = "park",
    ) -> None:
        self.projector = projector
        self.generation = generation
        self.positions: dict[Log, int] = {}
        self.held: set[UUID] = set()
        self.unreadable: list[Held] = []
        self._database = database
        self._state = state
        self._on_poison = on_poison
        self._stored: dict[Log, int] = {}
        self._epoch = 0
        self._skipped: set[tuple[Log, int]] = set()
        self._intake = Intake(projector, generation)
        self._schema = self._intake.schema
        self._key = checkpoints.lock_key(projector.name)

    async def open(self) -> None:
        """Read where the generation has got to, and which streams wait."""
        name = self.projector.name
        async with self._database.pool.connection() as connection:
            # The epoch before what it guards: a change in between fences us.
            found = await checkpoints.standing(connection, name, self.generation)
            held = await checkpoints.held(connection, name, self.generation)
            self._skipped = await checkpoints.skipped(connection, name)
            shape = await generations.shape(connection, name, self.generation)
        missing = set(self.projector.logs) - found.positions.keys()
        if missing:
            raise FencedError(f"{self._schema} has no checkpoint in {missing}")
        if shape is None:
            raise BrokenTablesError(f"the schema {self._schema} is gone")
        if shape != generations.shape_of(self.projector):
            raise ForeignShapeError(f"{self._schema} is {shape}")
        self.held = {one.stream for one in held}
        self.unreadable = [one for one in held if one.unreadable]
        self._epoch = found.epoch
        self._stored = {log: found.positions[log] for log in self.projector.logs}
        self.positions = dict(self._stored)

    @property
    def dirty(self) -> bool:
        """Tell whether a checkpoint in memory is ahead of the stored one."""
        return self.positions != self._stored

    async def advance(self, log: Log, events: Sequence[Recorded], *, upto: int) -> None:
        """
        Take a page of the log in; *upto* is the position that it reaches.

        A page without anything wanted moves the checkpoint in memory alone. One with
        events that are held back is stored at once: should their stream have been let
        go meanwhile, the fence says so before anybody believes that they were passed.
        """
        mine = self._wanted(log, events)
        batch = [recorded for recorded in mine if not self._waits(recorded)]
        if batch:
            await self._apply(log, batch, upto)
        elif mine:
            await self._store(log, upto)
        self.positions[log] = max(self.positions[log], upto)

    def _waits(self, recorded: Recorded) -> bool:
        # That somebody or something is gone is true whatever came before it.
        return recorded.stream in self.held and not recorded.event.impersonal

    async def persist(self) -> None:
        """Store the checkpoints that have moved in memory."""
        for log, position in self.positions.items():
            if position != self._stored[log]:
                await self._store(log, position)

    async def write(
        self,
        connection: AsyncConnection[Any],
        log: Log,
        events: Sequence[Recorded],
        *,
        upto: int,
    ) -> None:
        """Write a page within the caller's transaction, without looking for faults."""
        batch = [one for one in self._wanted(log, events) if not self._waits(one)]
        changes = await self._intake.fold(connection, batch)
        await self._send(connection, log, upto, changes)
        self._reached(log, upto)

    def _wanted(self, log: Log, events: Sequence[Recorded]) -> list[Recorded]:
        after, wants, skipped = self.positions[log], self._intake.wants, self._skipped
        return [
            recorded
            for recorded in events
            if recorded.position > after
            and wants(recorded)
            and (log, recorded.position) not in skipped
        ]

    async def _store(self, log: Log, upto: int) -> None:
        async with self._database.pool.connection() as connection:
            await self._transact(connection, log, upto, [])

    async def _apply(self, log: Log, batch: Sequence[Recorded], upto: int) -> None:
        try:
            await self._commit(log, batch, upto)
        except (FencedError, BrokenTablesError):
            raise
        except Exception as error:
            if is_the_worlds_fault(error):
                raise
            if len(batch) == 1:
                await self._try_again(log, batch[0], upto)
            else:
                await self._halve(log, batch, upto)

    async def _halve(self, log: Log, batch: Sequence[Recorded], upto: int) -> None:
        middle = len(batch) // 2
        await self._apply(log, batch[:middle], batch[middle - 1].position)
        rest = [event for event in batch[middle:] if not self._waits(event)]
        if rest:
            await self._apply(log, rest, upto)

    async def _try_again(self, log: Log, poison: Recorded, upto: int) -> None:
        reason = ""
        for attempt in range(1, TRIES):
            await asyncio.sleep(PAUSE * attempt)
            try:
                await self._commit(log, [poison], upto)
            except (FencedError, BrokenTablesError):
                raise
            except Exception as error:
                if is_the_worlds_fault(error):
                    raise
                reason = reason_of(error)
            else:
                return
        if self._on_poison == "stop" and not await self._held_by_the_live_one(poison):
            raise PoisonError(poison, reason)
        await self._park(log, poison, upto, reason)

    async def _held_by_the_live_one(self, poison: Recorded) -> bool:
        """Tell whether what is served now waits at this event, or before it."""
        name = self.projector.name
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            async with self._database.pool.connection() as connection:
                live = (await checkpoints.served(connection)).get(name)
                if live is None:
                    return False
                held = await checkpoints.held(connection, name, live.generation)
            if any(
                one.stream == poison.stream and one.position <= poison.position
                for one in held
            ):
                return True
            passed = live.positions.get(poison.log, 0) >= poison.position
            if passed or asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(PAUSE)

    async def _park(self, log: Log, poison: Recorded, upto: int, reason: str) -> None:
        parked: Statement = (
            checkpoints.PARK.encode(),
            (
                *(self.projector.name, self.generation, log, poison.stream),
                *(poison.position, poison.version, tag_stored(poison)),
                *(isinstance(poison.event, UnreadableEvent), TRIES, clean(reason)),
            ),
        )
        async with self._database.pool.connection() as connection:
            await self._transact(connection, log, upto, [parked])
        self.held.add(poison.stream)
        _log.error(
            "Projection %s holds stream %s at %s %d: %s",
            self.projector.name,
            poison.stream,
            log,
            poison.position,
            reason,
        )

    async def _commit(self, log: Log, batch: Sequence[Recorded], upto: int) -> None:
        try:
            async with self._database.pool.connection() as connection:
                # The rows it looks at are read before the fence, which fails if
                # anybody has written in between.
                changes = await self._intake.fold(connection, batch)
                await self._transact(connection, log, upto, changes)
        except psycopg.Error as error:
            if is_the_tables_fault(error):
                raise BrokenTablesError(reason_of(error)) from error
            raise

    async def _transact(
        self,
        connection: AsyncConnection[Any],
        log: Log,
        upto: int,
        changes: Sequence[Statement],
    ) -> None:
        """Write *changes* and the checkpoint in one round trip, or neither."""
        try:
            async with connection.pipeline():
                await connection.execute("BEGIN")
                await self._send(connection, log, upto, changes)
                await connection.execute("COMMIT")
        except psycopg.errors.DivisionByZero as fenced:
            at = f"{self._schema} in {log} at {self._stored[log]}"
            raise FencedError(at) from fenced
        self._reached(log, upto)

    async def _send(
        self,
        connection: AsyncConnection[Any],
        log: Log,
        upto: int,
        changes: Sequence[Statement],
    ) -> None:
        # A swap of generations takes this lock alone, so it sees our last word.
        await connection.execute(checkpoints.SHARED, (self._key,))
        place = (self.projector.name, self.generation, log, self._stored[log])
        fence = (upto, *place, self._epoch, self._state)
        await connection.execute(checkpoints.FENCE, fence)
        for query, values in changes:
            await connection.execute(query, values)

    def _reached(self, log: Log, upto: int) -> None:
        self._stored[log] = upto
        self.positions[log] = max(self.positions[log], upto)


def reason_of(error: Exception) -> str:
    """Return what to tell an operator about *error*."""
    # What PostgreSQL says after the first line quotes the statement, or values.
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said}"[:ERROR_LENGTH]


def is_the_worlds_fault(error: Exception) -> bool:
    """Tell whether it may go well the next time, with the same event."""
    # An index row too large is filed under operational errors, yet it is the event's.
    return isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError | OSError
    ) and not isinstance(error, psycopg.errors.ProgramLimitExceeded)


def is_the_tables_fault(error: psycopg.Error) -> bool:
    """Tell whether no event whatever could have been written."""
    # Class 42: no such table or column, or no right to it. 3F: no such schema.
    return (error.sqlstate or "")[:2] in {"42", "3F"}
