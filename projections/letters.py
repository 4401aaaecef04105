"""Events that a projection could not take in: shown, tried again, or skipped."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple, Self, override
from uuid import UUID

import msgspec
import psycopg
from psycopg import AsyncConnection
from psycopg.rows import class_row

from application.ports import EventStore, Recorded
from application.ports.refusals import UnreadableEventError
from domain.kernel import DomainError, Log
from infrastructure.event_store.mapper import UnreadableEvent
from infrastructure.event_store.statements import named
from infrastructure.postgres import Database
from projections import checkpoints, generations
from projections.checkpoints import Held, lock_key
from projections.holders import holders, is_older, leader_key
from projections.intake import Intake, tag_stored
from projections.projector import LOGS, Projector
from projections.refusals import (
    BrokenTablesError,
    DeadLetterNotFoundError,
    EventGoneError,
    OlderLeaderError,
    OtherVersionError,
    UnknownProjectionError,
)
from projections.rows import clean
from projections.writer import is_the_tables_fault, is_the_worlds_fault, reason_of

_logger = logging.getLogger(__name__)

STEP: Final = 1000
"""How many held events are taken in at once; the live projection waits that long."""
WAITS: Final = "It waits behind an event that was tried again or skipped."

_SQL: Final = named("letters.sql", package="projections")


class Place(NamedTuple):
    """Names a parked event: which projection could not take which event."""

    projection: str
    log: Log
    position: int

    @classmethod
    def of(cls, text: str) -> Self:
        """Read ``users/core/12``."""
        projection, _, rest = text.partition("/")
        log, _, position = rest.partition("/")
        for known in LOGS:
            if log == known and position.isascii() and position.isdecimal():
                return cls(projection, known, int(position[:18]))
        raise DeadLetterNotFoundError(text)

    @override
    def __str__(self) -> str:
        return f"{self.projection}/{self.log}/{self.position}"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """
    A parked event, and how many of its stream wait behind it (at most 1,000 counted).

    ``version`` is its place in the stream; zero where an older release parked it.
    """

    projection: str
    generation: int
    log: Log
    position: int
    stream: UUID
    version: int
    tag: str
    reason: str
    unreadable: bool
    tries: int
    parked_at: datetime
    waiting: int

    @property
    def place(self) -> Place:
        """The name of this letter."""
        return Place(self.projection, self.log, self.position)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a retry or a skip came to.

    ``taken`` counts events that went in. ``stuck`` is where the stream is held now,
    and ``reason`` why; both are absent when it was let go.
    """

    taken: int
    stuck: int | None = None
    reason: str | None = None


class _Step(NamedTuple):
    taken: int
    next: Place | None


class DeadLetters:
    """
    Parked events of the generations that are served.

    All that is changed here is changed under the lock that keeps the leader out, and
    raises the projection's epoch: the leader reads again where it stands before it
    writes anything more, wherever it runs.
    """

    def __init__(
        self, database: Database, store: EventStore, projectors: Sequence[Projector]
    ) -> None:
        self._database = database
        self._store = store
        self._projectors = {projector.name: projector for projector in projectors}
        # Each holds a connection of the pool while it reads by another.
        self._turn = asyncio.Lock()

    async def page(
        self, *, only: str | None = None, after: Place | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """Return parked events by projection, log and position."""
        for name in filter(None, (only, after and after.projection)):
            self._projector(name)
        place = (after or Place("", "core", 0))._asdict()
        async with self._database.pool.connection() as connection:
            cursor = connection.cursor(row_factory=class_row(DeadLetter))
            await cursor.execute(_SQL["page"], {**place, "only": only, "limit": limit})
            return await cursor.fetchall()

    async def get(self, place: Place) -> DeadLetter:
        """Return one, or raise `DeadLetterNotFoundError`."""
        self._projector(place.projection)
        async with self._database.pool.connection() as connection:
            return await _letter(connection, place)

    async def event(self, letter: DeadLetter) -> Recorded:
        """Return the event itself, in its envelope."""
        found = await self._parked(letter.log, letter.position)
        if found is None:
            raise EventGoneError(letter.place)
        return found

    async def retry(self, place: Place) -> Outcome:
        """
        Take in the parked event and all that waited behind it, in order.

        Each step is a transaction of its own; a stream is let go with the last one.
        """
        return await self._take(place, taken=0)

    async def skip(self, place: Place, reason: str) -> Outcome:
        """Go on without the parked event, for good, and take in what waited behind."""
        async with self._alone_with(place) as (connection, letter, _):
            await connection.execute(
                _SQL["skip"],
                {
                    **place._asdict(),
                    "stream": letter.stream,
                    "tag": letter.tag,
                    "reason": clean(reason),
                },
            )
            _, rest = await self._held(connection, letter, 1)
            behind = await _let_go(connection, letter, rest)
        return await self._take(behind, taken=0) if behind else Outcome(taken=0)

    async def retry_readable(self, name: str, held: Sequence[Held]) -> int:
        """Try again what an older server could not read and this one can."""
        let_go = 0
        for one in held:
            found = await self._parked(one.log, one.position)
            if found is not None and isinstance(found.event, UnreadableEvent):
                continue
            place = Place(name, one.log, one.position)
            outcome = await self.retry(place)
            let_go += outcome.stuck is None
            _logger.info("Tried %s again, which can be read now: %s", place, outcome)
        return let_go

    def _projector(self, name: str) -> Projector:
        projector = self._projectors.get(name)
        if projector is None:
            raise UnknownProjectionError(name)
        return projector

    async def _take(self, place: Place, *, taken: int) -> Outcome:
        # All at once, if it goes in: nobody sees a thing that a later event removes.
        at, size = place, STEP
        while True:
            try:
                step = await self._step(at, size)
            except _NotTakenError as error:
                if size > 1:
                    size = 1
                    continue
                return Outcome(taken=taken, stuck=at.position, reason=error.reason)
            taken += step.taken
            if step.next is None:
                return Outcome(taken=taken)
            at, size = step.next, min(STEP, size * 4)

    async def _step(self, place: Place, size: int) -> _Step:
        """Take in *size* events from *place* on, or none; say where that leads to."""
        try:
            async with self._alone_with(place) as (connection, letter, intake):
                held, rest = await self._held(connection, letter, size)
                skipped = await checkpoints.skipped(connection, letter.projection)
                batch = [
                    recorded
                    for recorded in held
                    if intake.wants(recorded)
                    and (letter.log, recorded.position) not in skipped
                ]
                for query, values in await intake.fold(connection, batch):
                    await connection.execute(query, values)
                return _Step(len(batch), await _let_go(connection, letter, rest))
        except Exception as error:
            if isinstance(error, DomainError) and not isinstance(
                error, UnreadableEventError
            ):
                raise
            if isinstance(error, psycopg.Error) and is_the_tables_fault(error):
                raise BrokenTablesError(reason_of(error)) from error
            if is_the_worlds_fault(error):
                raise
            if size == 1:
                await self._note(place, error)
            raise _NotTakenError(reason_of(error)) from error

    async def _note(self, place: Place, error: Exception) -> None:
        async with self._database.pool.connection() as connection:
            letter = await _letter(connection, place)
            await connection.execute(
                _SQL["failed"],
                {
                    **_here(letter),
                    "reason": clean(reason_of(error)),
                    "unreadable": isinstance(error, UnreadableEventError),
                },
            )

    async def _parked(self, log: Log, position: int) -> Recorded | None:
        page = await self._store.read_log(log, after=position - 1, limit=1)
        return page[0] if page and page[0].position == position else None

    async def _held(
        self, connection: AsyncConnection[Any], letter: DeadLetter, size: int
    ) -> tuple[list[Recorded], list[Recorded]]:
        """
        Return *size* events from the parked one on, and then what follows, if any.

        Only what the checkpoint has passed was held. The parked one may be archived.
        """
        parked = await self._parked(letter.log, letter.position)
        after = parked.version if parked else letter.version
        events = await self._store.read_stream(
            letter.log, letter.stream, after=after, limit=size
        )
        found = await checkpoints.standing(
            connection, letter.projection, letter.generation
        )
        upto = found.positions[letter.log]
        behind = [one for one in events if one.position <= upto]
        held = [*([parked] if parked else []), *behind[: size - 1]]
        return held, behind[size - 1 :]

    @asynccontextmanager
    async def _alone_with(
        self, place: Place
    ) -> AsyncIterator[tuple[AsyncConnection[Any], DeadLetter, Intake]]:
        """Hold a letter in a transaction, with its projection's leader kept out."""
        projector = self._projector(place.projection)
        async with (
            self._turn,
            self._database.pool.connection() as connection,
            connection.transaction(),
        ):
            await connection.execute(_SQL["patience"])
            await connection.execute(
                checkpoints.EXCLUSIVE, (lock_key(place.projection),)
            )
            letter = await _letter(connection, place)
            shape = await generations.shape(
                connection, place.projection, letter.generation
            )
            if shape != generations.shape_of(projector):
                raise OtherVersionError(place.projection)
            key = {place.projection: leader_key(place.projection)}
            if any(map(is_older, (await holders(connection, key)).values())):
                raise OlderLeaderError(place.projection)
            yield connection, letter, Intake(projector, letter.generation)


class _NotTakenError(Exception):
    """A step was undone, for one of its events did not go in."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def _letter(connection: AsyncConnection[Any], place: Place) -> DeadLetter:
    cursor = connection.cursor(row_factory=class_row(DeadLetter))
    # The first after the place before it.
    after = place._replace(position=place.position - 1)._asdict()
    await cursor.execute(_SQL["page"], {**after, "only": place.projection, "limit": 1})
    letter = await cursor.fetchone()
    if letter is None or letter.place != place:
        raise DeadLetterNotFoundError(place)
    return letter


async def _let_go(
    connection: AsyncConnection[Any], letter: DeadLetter, rest: Sequence[Recorded]
) -> Place | None:
    """Let the stream go, or hold it at the first of *rest*; tell the leader."""
    here = _here(letter)
    if rest:
        following = {
            "next": rest[0].position,
            "version": rest[0].version,
            "tag": tag_stored(rest[0]),
            "reason": WAITS,
        }
        await connection.execute(_SQL["move"], {**here, **following})
    else:
        await connection.execute(_SQL["remove"], here)
    await connection.execute(_SQL["raise_epoch"], here)
    return Place(letter.projection, letter.log, rest[0].position) if rest else None


def _here(letter: DeadLetter) -> dict[str, Any]:
    return {**letter.place._asdict(), "generation": letter.generation}
