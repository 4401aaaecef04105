"""Carries one projection along its logs: leading it, or watching who does."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

import psycopg

from domain.kernel import Log
from infrastructure.postgres import Database
from projections.checkpoints import Failure, FencedError, trouble
from projections.intake import Intake
from projections.leadership import Leadership
from projections.letters import DeadLetters
from projections.projector import Projector
from projections.refusals import BrokenTablesError
from projections.tail import PAGE, Page, Tail
from projections.watermarks import Watermarks
from projections.writer import ForeignShapeError, Writer, reason_of

_logger = logging.getLogger(__name__)

LAZY = 1.0
"""How long a checkpoint that moved over unwanted events may stay in memory."""
LONGEST_REST = 0.05
SOON = 0.005
"""How often a stand-by looks at the leader's checkpoint while somebody waits."""
PATIENCE = 0.25


class Owed(NamedTuple):
    """Positions from first to last that the leader has still to write."""

    first: int
    last: int


class Follower:
    """
    One projection's task.

    A stand-by writes nothing. It follows the log to know which positions the leader
    still has to write, since a leader stores its checkpoint at once only for those.
    """

    def __init__(
        self,
        database: Database,
        projector: Projector,
        *,
        tails: Mapping[Log, Tail],
        leadership: Leadership,
        marks: Watermarks,
        letters: DeadLetters,
    ) -> None:
        self.projector = projector
        self._database = database
        self._tails = {log: tails[log] for log in projector.logs}
        self._leadership = leadership
        self._marks = marks
        self._letters = letters
        self._intake = Intake(projector, 0)
        self._wake = asyncio.Event()
        self._persisted_at = 0.0
        self._generation = 0

    def wake(self, *_: object) -> None:
        """Look now whether there is something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled, whatever happens."""
        name, pause = self.projector.name, 0.0
        while True:
            try:
                if self._leads():
                    await self._lead()
                else:
                    await self._stand_by()
                pause = 0.0
            except FencedError as fenced:
                _logger.info("Projection %s starts over: %s", name, fenced)
                await self._leadership.look()
                pause = min(1.0, pause * 2 or 0.01)
            except ForeignShapeError as foreign:
                _logger.warning("Projection %s is led by others: %s", name, foreign)
                await self._leadership.resign(name)
            except BrokenTablesError as broken:
                _logger.error("Projection %s cannot write: %s", name, broken)  # noqa: TRY400 - its traceback tells nothing
                await self._note(broken)
                await self._leadership.look()
                pause = min(2.0, pause * 2 or 0.05)
            except Exception as error:
                # A follower that ends would leave its views frozen, without a word.
                _logger.exception("Projection %s stumbled; trying again", name)
                await self._note(error)
                await self._leadership.look()
                pause = min(2.0, pause * 2 or 0.05)
            await asyncio.sleep(pause)

    def _leads(self) -> bool:
        return self._leadership.leads(self.projector.name)

    async def _note(self, error: Exception) -> None:
        """Let operators see what keeps the projection from moving."""
        failure = Failure(reason=reason_of(error))
        # It says so again if it goes on; without a database nobody could read it.
        with suppress(psycopg.Error, OSError):
            async with self._database.pool.connection() as connection:
                # Of the generation it was; nothing is said if that is not served now.
                await trouble(
                    connection, self.projector.name, self._generation, failure
                )

    async def _lead(self) -> None:
        name = self.projector.name
        self._generation = generation = self._leadership.generation(name)
        writer = Writer(self._database, self.projector, generation)
        await writer.open()
        if writer.unreadable and await self._letters.retry_readable(
            name, writer.unreadable
        ):
            await writer.open()
        self._publish(writer)
        try:
            while self._leads() and self._leadership.generation(name) == generation:
                self._wake.clear()
                began = time.monotonic()
                if await self._round(writer):
                    # As long a rest as the work took: the busier, the larger batches.
                    # None for who is pages behind, and has the largest already.
                    took = time.monotonic() - began
                    rest = 0 if self._far_behind(writer) else min(took, LONGEST_REST)
                    await asyncio.sleep(rest)
                else:
                    await self._idle(writer)
        finally:
            # What nobody stored is read again: a lost word here costs only time.
            with suppress(Exception):
                await asyncio.shield(writer.persist())

    async def _round(self, writer: Writer) -> bool:
        moved = False
        for log, tail in self._tails.items():
            page = await tail.after(writer.positions[log])
            if page.upto > writer.positions[log]:
                await writer.advance(log, page.events, upto=page.upto)
                self._marks.advance(self.projector.name, log, writer.positions[log])
                moved = True
        if writer.dirty and time.monotonic() - self._persisted_at > LAZY:
            await self._persist(writer)
        return moved

    def _far_behind(self, writer: Writer) -> bool:
        return any(
            tail.last - writer.positions[log] > PAGE
            for log, tail in self._tails.items()
        )

    async def _idle(self, writer: Writer) -> None:
        try:
            async with asyncio.timeout(LAZY if writer.dirty else None):
                await self._wake.wait()
        except TimeoutError:
            await self._persist(writer)

    async def _persist(self, writer: Writer) -> None:
        await writer.persist()
        self._persisted_at = time.monotonic()

    def _publish(self, writer: Writer) -> None:
        for log, position in writer.positions.items():
            self._marks.advance(self.projector.name, log, position)

    async def _stand_by(self) -> None:
        places = {log: tail.last for log, tail in self._tails.items()}
        # What came before is unknown until the leader's checkpoint has passed it.
        owed = {log: deque([Owed(0, place)]) for log, place in places.items()}
        since = time.monotonic()
        while not self._leads():
            self._wake.clear()
            for log, tail in self._tails.items():
                page = await tail.after(places[log])
                owed[log].extend(self._wanted_in(page))
                places[log] = page.upto
                self._settle(log, owed[log], places[log])
            if any(owed.values()):
                waited = time.monotonic() - since
                await asyncio.sleep(SOON if waited < PATIENCE else PATIENCE)
                await self._leadership.look()
            elif all(places[log] >= tail.last for log, tail in self._tails.items()):
                await self._wake.wait()
                since = time.monotonic()

    def _wanted_in(self, page: Page) -> list[Owed]:
        return [
            Owed(recorded.position, recorded.position)
            for recorded in page.events
            if self._intake.wants(recorded)
        ]

    def _settle(self, log: Log, owed: deque[Owed], place: int) -> None:
        name = self.projector.name
        served = self._leadership.served.get(name)
        stored = served.positions.get(log, 0) if served is not None else 0
        while owed and owed[0].last <= stored:
            owed.popleft()
        self._marks.advance(
            name, log, max(stored, owed[0].first - 1 if owed else place)
        )
