"""Snapshots of long streams: taken when one was long to load, read in place of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec
from psycopg.rows import TupleRow

from application.ports import StreamNotFoundError
from application.ports.refusals import SubjectErasedError, UnreadableEventError
from domain.kernel import Aggregate
from domain.snapshots import SNAPSHOTS, Shape
from infrastructure.event_store.sealing import Stored, opened, sealed
from infrastructure.event_store.statements import named
from infrastructure.postgres import Database
from infrastructure.subject_keys import SubjectKeys

logger = logging.getLogger(__name__)

THRESHOLD = 200
"""How many events after the last snapshot make it worth another; see the figures."""
WAITING = 256
"""How many streams may wait for theirs; what finds no place is asked for again."""

UNUSABLE = (UnreadableEventError, msgspec.MsgspecError, UnicodeDecodeError)

STATEMENTS = {log: named("snapshots.sql", log=log) for log in ("core", "runs")}

type Kind = type[Aggregate[Any]]
type Load = Callable[[Kind, UUID], Awaitable[Aggregate[Any]]]


class BrokenSnapshotError(Exception):
    """A snapshot cannot be read, so that its stream is replayed whole instead."""


class Snapshots:
    """
    Takes snapshots in the background, of streams that somebody waited for.

    They are disposable, and are trusted no further than their seal: without a key
    there are none, and one that does not open counts as none.
    """

    def __init__(
        self, database: Database, keys: SubjectKeys | None, load: Load
    ) -> None:
        self._pool = database.pool
        self._keys = keys
        self._load = load
        self._decoders = {
            kind: msgspec.json.Decoder(shape.state) for kind, shape in SNAPSHOTS.items()
        }
        self._wanted: dict[UUID, Kind] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to take what is wanted."""
        if self._keys is not None:
            self._task = asyncio.create_task(self._run(), name="snapshots")

    async def stop(self) -> None:
        """Take no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def shape(self, kind: Kind) -> Shape | None:
        """Return how *kind* becomes a snapshot, if it may have any."""
        return SNAPSHOTS.get(kind) if self._keys is not None else None

    async def resume(
        self, aggregate: Aggregate[Any], shape: Shape, *, upto: int, limit: int
    ) -> list[TupleRow]:
        """
        Let *aggregate* be what its snapshot says; return the first events after it.

        Raise `BrokenSnapshotError` if that says nothing that can be used.
        """
        rows = await self._ask(
            STATEMENTS[aggregate.log]["resume"],
            stream=aggregate.id,
            topic=shape.topic,
            schema=shape.schema,
            upto=upto,
            limit=limit,
        )
        if rows and rows[0][0] is None:
            await self._restore(aggregate, shape, rows[0])
            return rows[1:]
        return rows

    async def resume_each(
        self, kind: Kind, aggregates: Mapping[UUID, Aggregate[Any]], *, limit: int
    ) -> dict[UUID, list[TupleRow] | None]:
        """
        Do what `resume` does for *aggregates* by their ids, asking once.

        None stands for the events of one whose snapshot says nothing of use.
        """
        shape = self.shape(kind)
        found = await self._ask(
            STATEMENTS[kind.log]["resume_each"],
            streams=list(aggregates),
            topic="" if shape is None else shape.topic,
            schema=0 if shape is None else shape.schema,
            limit=limit,
        )
        each: dict[UUID, list[TupleRow] | None] = {}
        for stream, rows in groupby(found, itemgetter(0)):
            first, *rest = [row[1:] for row in rows]
            if shape is None or first[0] is not None:
                each[stream] = [first, *rest]
                continue
            try:
                await self._restore(aggregates[stream], shape, first)
                each[stream] = rest
            except BrokenSnapshotError as broken:
                logger.warning("The snapshot of %s is of no use: %s", stream, broken)
                each[stream] = None
        return each

    def want(self, kind: Kind, stream: UUID) -> None:
        """Take a snapshot of *stream* soon."""
        if self._task is not None and len(self._wanted) < WAITING:
            self._wanted.setdefault(stream, kind)
            self._wake.set()

    async def take(self, kind: Kind, stream: UUID) -> int | None:
        """Take a snapshot of *stream* as it is; return its version, if it has one."""
        shape = self.shape(kind)
        aggregate = await self._load(kind, stream)
        subject = aggregate.subject
        if shape is None or subject is None or self._keys is None:
            return None
        key = self._keys.known(subject) or await self._keys.of(subject)
        state = msgspec.json.encode(shape.taken(aggregate))
        plain = Stored(_tag(shape, aggregate.version), shape.schema, state)
        kept = await self._ask(
            STATEMENTS[kind.log]["keep"],
            stream=stream,
            version=aggregate.version,
            topic=shape.topic,
            schema=shape.schema,
            state=sealed(plain, key, stream=stream, subject=subject).state,
            subject=subject,
        )
        return aggregate.version if kept else None

    async def _restore(
        self, aggregate: Aggregate[Any], shape: Shape, row: TupleRow
    ) -> None:
        _, schema, state, subject_bytes, version = row
        subject = UUID(bytes=subject_bytes)
        assert self._keys is not None  # noqa: S101 - or it would have no shape here
        keys = await self._keys.of_each([subject])
        stored = Stored(_tag(shape, version), schema, state, subject)
        try:
            plain = opened(stored, keys, stream=aggregate.id)
            if plain is None:
                raise BrokenSnapshotError("whose it was has been erased")
            snapshot = self._decoders[type(aggregate)].decode(plain)
        except UNUSABLE as error:
            raise BrokenSnapshotError(str(error)) from error
        shape.restored(aggregate, snapshot)
        aggregate.version = version

    async def _run(self) -> None:
        await self._attempt(self._forget_old_shapes)
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                stream, kind = next(iter(self._wanted.items()))
                await self._attempt(partial(self.take, kind, stream))
                del self._wanted[stream]

    async def _attempt(self, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except (StreamNotFoundError, SubjectErasedError):
            pass  # it was erased in the meantime
        except Exception:  # it can be done without, and is asked for again
            logger.exception("A snapshot could not be taken")

    async def _forget_old_shapes(self) -> None:
        for kind, shape in SNAPSHOTS.items():
            await self._ask(
                STATEMENTS[kind.log]["forget_old_shapes"],
                topic=shape.topic,
                schema=shape.schema,
            )

    async def _ask(self, statement: bytes, **words: object) -> list[TupleRow]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(statement, words)
            return await cursor.fetchall()


def _tag(shape: Shape, version: int) -> str:
    """Return what the seal is bound to, so that none passes for another's or later."""
    return f"snapshot.{shape.topic}.{version}"
