"""Writes one generation of a projection: rows and checkpoint together, fenced."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import AsyncConnection

from application.ports import Recorded
from application.ports.refusals import UnreadableEventError
from domain.catalogue import tag_of
from domain.kernel import Log
from infrastructure.event_store.mapper import UnreadableEvent
from infrastructure.postgres import Database
from projections import checkpoints, generations
from projections.checkpoints import FencedError
from projections.projector import Projector
from projections.rows import Rows, clean
from projections.statements import Statement, preload, statements

if TYPE_CHECKING:
    from uuid import UUID

_log = logging.getLogger(__name__)

TRIES = 3
PAUSE = 0.05
ERROR_LENGTH = 2000


class ForeignShapeError(Exception):
    """These tables were made by another version of the projector."""


class Writer:
    """
    Carries a generation forward; the only one who may, as the fence makes sure.

    A batch that fails is halved until the event at fault is found. That event is
    parked as a dead letter and its stream held; every other stream goes on.
    """

    def __init__(
        self, database: Database, projector: Projector, generation: int, *, live: bool
    ) -> None:
        self.projector = projector
        self.generation = generation
        self.positions: dict[Log, int] = {}
        self.held: set[UUID] = set()
        self._database = database
        self._stored: dict[Log, int] = {}
        self._wanted = projector.wanted
        self._tags = frozenset(tag_of(event) for event in projector.reads)
        self._schema = generations.schema_of(projector.name, generation)
        self._fence = checkpoints.FENCE_ACTIVE if live else checkpoints.FENCE
        self._key = checkpoints.lock_key(projector.name)

    async def open(self) -> None:
        """Read where the generation has got to, and which streams wait."""
        name = self.projector.name
        async with self._database.pool.connection() as connection:
            found = await checkpoints.positions(connection, name, self.generation)
            self.held = await checkpoints.held(connection, name, self.generation)
            shape = await generations.shape(connection, name, self.generation)
        missing = set(self.projector.logs) - found.keys()
        if missing:
            raise FencedError(f"{self._schema} has no checkpoint in {missing}")
        if shape != generations.shape_of(self.projector):
            raise ForeignShapeError(f"{self._schema} is {shape}")
        self._stored = {log: found[log] for log in self.projector.logs}
        self.positions = dict(self._stored)

    @property
    def dirty(self) -> bool:
        """Tell whether a checkpoint in memory is ahead of the stored one."""
        return self.positions != self._stored

    async def advance(self, log: Log, events: Sequence[Recorded], *, upto: int) -> None:
        """
        Take a page of the log in; *upto* is the position that it reaches.

        A page without anything wanted moves the checkpoint in memory alone.
        """
        batch = self._pick(log, events)
        if batch:
            await self._apply(log, batch, upto)
        self.positions[log] = max(self.positions[log], upto)

    async def persist(self) -> None:
        """Store the checkpoints that have moved in memory."""
        for log, position in self.positions.items():
            if position != self._stored[log]:
                async with self._database.pool.connection() as connection:
                    await self._transact(connection, log, position, [])

    async def write(
        self,
        connection: AsyncConnection[Any],
        log: Log,
        events: Sequence[Recorded],
        *,
        upto: int,
    ) -> None:
        """Write a page within the caller's transaction, without looking for faults."""
        changes = await self._fold(connection, self._pick(log, events))
        await self._send(connection, log, upto, changes)
        self._reached(log, upto)

    def _pick(self, log: Log, events: Sequence[Recorded]) -> list[Recorded]:
        after, wanted, held = self.positions[log], self._wanted, self.held
        return [
            recorded
            for recorded in events
            if (type(recorded.event) in wanted or self._is_wanted_but_broken(recorded))
            and recorded.position > after
            and recorded.stream not in held
        ]

    def _is_wanted_but_broken(self, recorded: Recorded) -> bool:
        event = recorded.event
        return isinstance(event, UnreadableEvent) and event.event_tag in self._tags

    async def _apply(self, log: Log, batch: Sequence[Recorded], upto: int) -> None:
        try:
            await self._commit(log, batch, upto)
        except FencedError:
            raise
        except Exception as error:
            if _is_the_worlds_fault(error):
                raise
            if len(batch) == 1:
                await self._try_again_or_park(log, batch[0], upto)
            else:
                await self._halve(log, batch, upto)

    async def _halve(self, log: Log, batch: Sequence[Recorded], upto: int) -> None:
        middle = len(batch) // 2
        await self._apply(log, batch[:middle], batch[middle - 1].position)
        rest = [event for event in batch[middle:] if event.stream not in self.held]
        if rest:
            await self._apply(log, rest, upto)

    async def _try_again_or_park(self, log: Log, poison: Recorded, upto: int) -> None:
        reason = ""
        for attempt in range(1, TRIES):
            await asyncio.sleep(PAUSE * attempt)
            try:
                await self._commit(log, [poison], upto)
            except FencedError:
                raise
            except Exception as error:
                if _is_the_worlds_fault(error):
                    raise
                reason = f"{type(error).__name__}: {error}"[:ERROR_LENGTH]
            else:
                return
        await self._park(log, poison, upto, reason)

    async def _park(self, log: Log, poison: Recorded, upto: int, reason: str) -> None:
        name = self.projector.name
        place = (name, self.generation, log, poison.stream, poison.position)
        parked = (checkpoints.PARK.encode(), (*place, clean(reason)))
        async with self._database.pool.connection() as connection:
            await self._transact(connection, log, upto, [parked])
        self.held.add(poison.stream)
        _log.error(
            "Projection %s holds stream %s at %s %d: %s",
            name,
            poison.stream,
            log,
            poison.position,
            reason,
        )

    async def _commit(self, log: Log, batch: Sequence[Recorded], upto: int) -> None:
        async with self._database.pool.connection() as connection:
            # The rows it looks at are read before the fence, which fails if anybody
            # has written in between.
            changes = await self._fold(connection, batch)
            await self._transact(connection, log, upto, changes)

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
        await connection.execute(self._fence, (upto, *place))
        for query, values in changes:
            await connection.execute(query, values)

    async def _fold(
        self, connection: AsyncConnection[Any], batch: Sequence[Recorded]
    ) -> list[Statement]:
        for recorded in batch:
            if isinstance(recorded.event, UnreadableEvent):
                raise UnreadableEventError(recorded.event.reason)
        needs = self.projector.needs(batch)
        rows = Rows(await preload(connection, needs, schema=self._schema))
        self.projector.fold(batch, rows)
        return list(statements(rows, schema=self._schema))

    def _reached(self, log: Log, upto: int) -> None:
        self._stored[log] = upto
        self.positions[log] = max(self.positions[log], upto)


def _is_the_worlds_fault(error: Exception) -> bool:
    # An index row too large is filed under operational errors, yet it is the event's.
    return isinstance(
        error, psycopg.OperationalError | psycopg.InterfaceError | OSError
    ) and not isinstance(error, psycopg.errors.ProgramLimitExceeded)
