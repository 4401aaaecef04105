"""Builds a projection anew beside the live one, then swaps the views."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection

from application.ports import EventStore
from infrastructure.postgres import Database
from projections import checkpoints, generations
from projections.projector import Projector
from projections.writer import Writer

_logger = logging.getLogger(__name__)

PAGE = 5000
CLOSE = 1000
"""How few events may be left for the swap, which holds the live projection up."""

SWAPS = 3


class RebuildRunningError(Exception):
    """This projection is being rebuilt already."""


async def ensure(database: Database, store: EventStore, projector: Projector) -> None:
    """
    See that a generation is served whose tables have the projector's shape.

    The first one is served at once, empty as it is; another shape is built first.
    A shape of a newer version is left alone: an older server is on its way out.
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
        if shape == generations.shape_of(projector):
            return
        if shape is not None and generations.version_of(shape) > projector.version:
            return
        await _rebuild(connection, database, store, projector, _nothing)


async def rebuild(
    database: Database,
    store: EventStore,
    projector: Projector,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """
    Fill a new generation from position zero, serve it, and return its number.

    *progress* hears how many positions are done, and of how many. An interrupted
    rebuild goes on where it stopped. Raise `RebuildRunningError` if one is under way.
    """
    async with _alone(database, projector, wait=False) as connection:
        return await _rebuild(
            connection, database, store, projector, progress or _nothing
        )


async def _rebuild(
    connection: AsyncConnection[Any],
    database: Database,
    store: EventStore,
    projector: Projector,
    progress: Callable[[int, int], None],
) -> int:
    number = await _prepare(connection, projector)
    writer = Writer(database, projector, number, live=False)
    await writer.open()
    await _fill(store, writer, progress)
    await generations.index(connection, projector, number)
    while await _fill(store, writer, progress) > CLOSE:
        pass
    for left in reversed(range(SWAPS)):
        try:
            await _swap(connection, store, writer)
            break
        except Exception:
            # A lock was not to be had, or poison came last: filling parks that.
            if not left:
                raise
            _logger.warning("Swapping %s; trying again", projector.name, exc_info=True)
            await writer.open()
            await _fill(store, writer, progress)
    await _drop_older(connection, projector)
    return number


async def _prepare(connection: AsyncConnection[Any], projector: Projector) -> int:
    name = projector.name
    numbers = await generations.numbers(connection, name)
    current = (await checkpoints.served(connection)).get(name)
    active = current.generation if current is not None else 0
    newest = max([*numbers, active])
    async with connection.transaction():
        if newest > active:
            shape = await generations.shape(connection, name, newest)
            if shape == generations.shape_of(projector):
                return newest
        await generations.make(connection, projector, newest + 1)
    return newest + 1


async def _fill(
    store: EventStore, writer: Writer, progress: Callable[[int, int], None]
) -> int:
    """Read every log to where it ends now; return how many events that were."""
    read = 0
    for log in writer.projector.logs:
        while True:
            head = await store.head()
            after = writer.positions[log]
            page = await store.read_log(log, after=after, limit=PAGE)
            read += len(page)
            upto = page[-1].position if page else after
            await writer.advance(log, page, upto=upto)
            total = sum(getattr(head, log) for log in writer.projector.logs)
            progress(min(sum(writer.positions.values()), total), total)
            if len(page) < PAGE:
                break
    await writer.persist()
    return read


async def _swap(
    connection: AsyncConnection[Any], store: EventStore, writer: Writer
) -> None:
    projector, name = writer.projector, writer.projector.name
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '30s'")
        await connection.execute(checkpoints.EXCLUSIVE, (checkpoints.lock_key(name),))
        # The live one stands still now; whatever it has shown, we must show too.
        current = (await checkpoints.served(connection)).get(name)
        for log, live in (current.positions if current else {}).items():
            while writer.positions.get(log, live) < live:
                after = writer.positions[log]
                page = await store.read_log(log, after=after, limit=PAGE)
                upto = page[-1].position if page else live
                await writer.write(connection, log, page, upto=upto)
        await generations.serve(connection, projector, writer.generation)


async def _drop_older(connection: AsyncConnection[Any], projector: Projector) -> None:
    """Keep the generation before, in case somebody wants to look; drop the rest."""
    *older, _before, _now = [
        0,
        0,
        *await generations.numbers(connection, projector.name),
    ]
    for number in filter(None, older):
        async with connection.transaction():
            await generations.drop(connection, projector, number)


@asynccontextmanager
async def _alone(
    database: Database, projector: Projector, *, wait: bool
) -> AsyncIterator[AsyncConnection[Any]]:
    """Hold the only right to make generations of this projection."""
    key = (checkpoints.lock_key("rebuild", projector.name),)
    async with await AsyncConnection.connect(
        database.dsn, autocommit=True
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
