"""Builds a projection anew beside the live one, then swaps the views."""

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from psycopg import AsyncConnection

from application.ports import EventStore
from infrastructure.postgres import Database
from projections import checkpoints, generations
from projections.checkpoints import FencedError, State
from projections.holders import named_dsn, rebuild_key
from projections.pace import Pace
from projections.projector import Projector
from projections.refusals import (
    NoRebuildError,
    NothingBeforeError,
    OtherVersionError,
    RebuildCancelledError,
    RebuildFailedError,
    RebuildRunningError,
)
from projections.writer import OnPoison, PoisonError, Writer

_logger = logging.getLogger(__name__)

PAGE = 5000
SMALL_PAGE = 1000
"""For who serves beside it: nobody is answered while a page is fetched or sent."""
CLOSE = 1000
"""How few events may be left for the swap, which holds the live projection up."""

SWAPS = 3
TOLD_EVERY = 0.5
"""Seconds after which people are told again how fast it goes."""

type Progress = Callable[[int, int], None]


class Rebuilt(msgspec.Struct, frozen=True):
    """A generation that is served now, and what it took to get there."""

    generation: int
    events: int
    seconds: float


async def ensure(database: Database, store: EventStore, projector: Projector) -> None:
    """
    See that a generation is served whose tables have the projector's shape.

    The first one is served at once, empty as it is; another shape is built first, or
    one whose tables are gone. There, poison is parked as the live one would: a server
    cannot serve the tables of before. A shape of a newer version is left alone: an
    older server is on its way out.
    """
    async with _alone(database, projector, wait=True) as connection:
        name = projector.name
        current = (await checkpoints.served(connection)).get(name)
        if current is None:
            async with connection.transaction():
                number = 1 + max(await generations.numbers(connection, name), default=0)
                await generations.make(connection, projector, number)
                await generations.index(connection, projector, number)
                await generations.serve(connection, projector, number)
            return
        shape = await generations.shape(connection, name, current.generation)
        if shape is not None and generations.version_of(shape) > projector.version:
            return
        if shape != generations.shape_of(projector) or not await generations.whole(
            connection, projector, current.generation
        ):
            await _Rebuild(connection, database, store, projector).run(on_poison="park")


async def rebuild(
    database: Database,
    store: EventStore,
    projector: Projector,
    progress: Progress | None = None,
    *,
    page: int | None = None,
    archives: bool = False,
) -> Rebuilt:
    """
    Fill a new generation from position zero, serve it, and return what that took.

    *progress* hears how many positions are done, and of how many; events are read in
    pages of *page*. An interrupted rebuild goes on where it stopped, if it read
    *archives* just as this one: otherwise events would be missing before that.

    Raise `RebuildRunningError` if one is under way, `RebuildFailedError` at the first
    event that does not go in, unless what is served waits there as well, and
    `RebuildCancelledError` when somebody called `cancel`.
    """
    async with _alone(database, projector, wait=False) as connection:
        work = _Rebuild(connection, database, store, projector, progress, page=page)
        return await work.run(on_poison="stop", archives=archives)


async def swap_back(
    database: Database,
    store: EventStore,
    projector: Projector,
    progress: Progress | None = None,
    *,
    page: int | None = None,
) -> Rebuilt:
    """
    Serve the generation that was served before, brought level first.

    Raise `NothingBeforeError` or `OtherVersionError` where that cannot be, and
    `RebuildFailedError` at an event that does not go in.
    """
    async with _alone(database, projector, wait=False) as connection:
        number = await _servable_before(connection, projector)
        work = _Rebuild(connection, database, store, projector, progress, page=page)
        return await work.carry_on(number, state="retired", on_poison="stop")


async def cancel(database: Database, projector: Projector) -> int:
    """
    Stop a rebuild before its next page, wherever it runs; return its generation.

    Raise `NoRebuildError` when there is none.
    """
    async with database.pool.connection() as connection:
        cursor = await connection.execute(
            "UPDATE es.projections SET state = 'interrupted'"
            " WHERE name = %s AND state = 'building' RETURNING version",
            (projector.name,),
        )
        row = await cursor.fetchone()
        if row is None:
            raise NoRebuildError(projector.name)
        return int(row[0])


async def drop_unserved(database: Database, projector: Projector) -> int:
    """
    Remove all generations but the one that is served; return how many that were.

    They take nothing in any more, not even that somebody was erased. Raise
    `RebuildRunningError` if one of them is being filled.
    """
    async with _alone(database, projector, wait=False) as connection:
        served = (await checkpoints.served(connection)).get(projector.name)
        if served is None:
            return 0
        numbers = await generations.numbers(connection, projector.name)
        others = [number for number in numbers if number != served.generation]
        for number in others:
            async with connection.transaction():
                await generations.drop(connection, projector, number)
        return len(others)


async def may_rebuild(database: Database, projector: Projector) -> None:
    """Raise `RebuildRunningError` if a rebuild is under way."""
    async with _alone(database, projector, wait=False):
        pass


async def may_swap_back(database: Database, projector: Projector) -> None:
    """Raise what `swap_back` would raise before it begins."""
    async with _alone(database, projector, wait=False) as connection:
        await _servable_before(connection, projector)


class _Rebuild:
    """One generation on its way to be served."""

    def __init__(
        self,
        connection: AsyncConnection[Any],
        database: Database,
        store: EventStore,
        projector: Projector,
        progress: Progress | None = None,
        *,
        page: int | None = None,
    ) -> None:
        self._page = page or PAGE
        self._connection = connection
        self._database = database
        self._store = store
        self._projector = projector
        self._progress = progress or _nothing
        self._read = 0
        self._pace = Pace()
        self._told_at = 0.0

    async def run(self, *, on_poison: OnPoison, archives: bool = False) -> Rebuilt:
        """Begin, or go on with what was interrupted."""
        number = await _prepare(self._connection, self._projector, archives=archives)
        return await self.carry_on(number, state="building", on_poison=on_poison)

    async def carry_on(
        self, number: int, *, state: State, on_poison: OnPoison
    ) -> Rebuilt:
        """Bring a generation level, and serve it."""
        name, began = self._projector.name, time.monotonic()
        writer = Writer(
            self._database, self._projector, number, state=state, on_poison=on_poison
        )
        replaced = (await checkpoints.served(self._connection)).get(name)
        try:
            await self._level(writer)
            await self._swap_patiently(writer)
        except PoisonError as error:
            if state == "building":
                await checkpoints.mark(
                    self._connection, name, number, "failed", error.failure
                )
            raise RebuildFailedError(name, error.failure) from error
        except FencedError as error:
            found = await checkpoints.standing(self._connection, name, number)
            if found.state == "interrupted":
                raise RebuildCancelledError(name) from error
            raise
        kept = {number, replaced.generation if replaced else number}
        await self._drop_others(kept)
        return Rebuilt(number, self._read, time.monotonic() - began)

    async def _level(self, writer: Writer) -> None:
        await writer.open()
        self._pace.begin(sum(writer.positions.values()))
        await self._fill(writer)
        await generations.index(self._connection, self._projector, writer.generation)
        while await self._fill(writer) > CLOSE:
            pass

    async def _fill(self, writer: Writer) -> int:
        """Read every log to where it ends now; return how many events that were."""
        read = 0
        for log in writer.projector.logs:
            while True:
                head = await self._store.head()
                after = writer.positions[log]
                page = await self._store.read_log(log, after=after, limit=self._page)
                read += len(page)
                upto = page[-1].position if page else after
                await writer.advance(log, page, upto=upto)
                total = sum(getattr(head, log) for log in writer.projector.logs)
                await self._tell(writer, total)
                if len(page) < self._page:
                    break
        await writer.persist()
        self._read += read
        return read

    async def _tell(self, writer: Writer, total: int) -> None:
        done = min(sum(writer.positions.values()), total)
        self._progress(done, total)
        rate, left = self._pace.told(done, total)
        now = time.monotonic()
        if left is not None and now > self._told_at + TOLD_EVERY:
            self._told_at = now
            name, number = self._projector.name, writer.generation
            await checkpoints.pace(self._connection, name, number, rate=rate, left=left)

    async def _swap_patiently(self, writer: Writer) -> None:
        for left in reversed(range(SWAPS)):
            try:
                await self._swap(writer)
            except FencedError:
                raise
            except Exception:
                # A lock was not to be had, or poison came last: filling meets that.
                if not left:
                    raise
                name = self._projector.name
                _logger.warning("Swapping %s; trying again", name, exc_info=True)
                await writer.open()
                await self._fill(writer)
            else:
                return

    async def _swap(self, writer: Writer) -> None:
        name, connection = self._projector.name, self._connection
        key = checkpoints.lock_key(name)
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '30s'")
            await connection.execute(checkpoints.EXCLUSIVE, (key,))
            # The live one stands still now; whatever it has shown, we must show too.
            current = (await checkpoints.served(connection)).get(name)
            for log, live in (current.positions if current else {}).items():
                while writer.positions.get(log, live) < live:
                    after = writer.positions[log]
                    page = await self._store.read_log(
                        log, after=after, limit=self._page
                    )
                    upto = page[-1].position if page else live
                    await writer.write(connection, log, page, upto=upto)
            found = await checkpoints.standing(connection, name, writer.generation)
            if found.state == "interrupted":
                raise FencedError(f"{name} was told to stop")
            await generations.serve(connection, self._projector, writer.generation)

    async def _drop_others(self, kept: set[int]) -> None:
        """Keep the generation before, in case it is wanted back; drop the rest."""
        connection, name = self._connection, self._projector.name
        for number in await generations.numbers(connection, name):
            if number not in kept:
                async with connection.transaction():
                    await generations.drop(connection, self._projector, number)


async def _prepare(
    connection: AsyncConnection[Any], projector: Projector, *, archives: bool
) -> int:
    """Return the generation to fill: one that was interrupted, or a new one."""
    name = projector.name
    numbers = await generations.numbers(connection, name)
    current = (await checkpoints.served(connection)).get(name)
    active = current.generation if current is not None else 0
    newest = max([*numbers, active])
    async with connection.transaction():
        for number in numbers:
            found = await checkpoints.standing(connection, name, number)
            if found.state == "failed":  # it was kept for people to look at
                await generations.drop(connection, projector, number)
        if newest > active:
            found = await checkpoints.standing(connection, name, newest)
            shape = await generations.shape(connection, name, newest)
            unfinished = found.state in {"building", "interrupted"}
            alike = shape == generations.shape_of(projector)
            if unfinished and alike and found.archives == archives:
                await checkpoints.mark(connection, name, newest, "building")
                return newest
        await generations.make(connection, projector, newest + 1, archives=archives)
    return newest + 1


async def _servable_before(
    connection: AsyncConnection[Any], projector: Projector
) -> int:
    """Return the generation before, if this server can write it."""
    name = projector.name
    number = await checkpoints.before(connection, name)
    shape = number and await generations.shape(connection, name, number)
    if not number or shape is None:
        raise NothingBeforeError(name)
    if shape != generations.shape_of(projector):
        raise OtherVersionError(name)
    if not await generations.whole(connection, projector, number):
        raise NothingBeforeError(name)
    return number


@asynccontextmanager
async def _alone(
    database: Database, projector: Projector, *, wait: bool
) -> AsyncIterator[AsyncConnection[Any]]:
    """Hold the only right to make generations of this projection."""
    key = (rebuild_key(projector.name),)
    async with await AsyncConnection.connect(
        named_dsn(database.dsn, "rebuilds"), autocommit=True
    ) as connection:
        if wait:
            await connection.execute("SELECT pg_advisory_lock(%s)", key)
        else:
            cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", key)
            row = await cursor.fetchone()
            if row is None or not row[0]:
                raise RebuildRunningError(projector.name)
        yield connection


def _nothing(done: int, total: int) -> None:
    del done, total
