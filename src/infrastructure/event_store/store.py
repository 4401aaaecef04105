"""The event store on PostgreSQL: two logs, a writer each, and reads by the pool."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import batched
from typing import Any, override
from uuid import UUID

import msgspec
from psycopg import errors
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8

from application.ports import (
    Attached,
    Cause,
    EventStore,
    IdempotencyKeyReusedError,
    OutcomeUnknownError,
    Position,
    Recorded,
    Saved,
    StoreBusyError,
    StreamNotFoundError,
)
from domain.kernel import Aggregate, Log
from infrastructure.event_store.command import (
    NOBODY,
    compose,
    key_of,
    position_in,
    read_metadata,
    settle,
)
from infrastructure.event_store.mapper import MsgspecMapper
from infrastructure.event_store.notifier import Notifier
from infrastructure.event_store.sealing import NO_KEYS, Keys, SealingMapper, Stored
from infrastructure.event_store.snapshots import (
    THRESHOLD,
    BrokenSnapshotError,
    Snapshots,
)
from infrastructure.event_store.statements import LOCK_KEYS, SESSION, STATEMENTS
from infrastructure.event_store.stored_event import StoredEvent, moment
from infrastructure.event_store.writer import Limits, Writer
from infrastructure.postgres import Database
from infrastructure.subject_keys import SubjectKeys

logger = logging.getLogger(__name__)

PAGE = 2000
"""How many events of a stream are read at once when it is replayed."""
AT_ONCE = 50
"""How many streams are read together."""
SLICE = 100
"""How many events are decoded at a stretch, before others have their turn."""
ALL = 2**63 - 1
"""A version beyond every stream's end."""
ANSWERS_KEPT_DAYS = 7
"""How long a repeat of a command gets its first answer."""
SEALED_STATES = "sealed_states"
"""The feature of a database on which no server runs that could not open them."""
LOOKED_AGAIN = 30.0
"""Seconds between two looks whether that has come to be so."""
LOCK_TIMEOUT = "5s"
"""How long who asks for an outcome waits for commits under way."""
LOGS: tuple[Log, ...] = ("core", "runs")


class PostgresEventStore(EventStore):
    """
    Streams in PostgreSQL, appended in groups.

    Callbacks in ``on_append`` are called after each commit of this process.
    """

    def __init__(
        self,
        database: Database,
        keys: SubjectKeys | None = None,
        *,
        mapper: MsgspecMapper | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.on_append: list[Callable[[Log, Position], None]] = []
        self._pool = database.pool
        self._mapper = SealingMapper(mapper, keys)
        self._snapshots = Snapshots(database, keys, self._reloaded)
        self._sealing = False
        self._looked_at = 0.0
        self._notifier = Notifier(database.dsn)
        self._writers = {
            log: Writer(
                log,
                database.dsn,
                limits=limits or Limits(),
                committed=partial(self._committed, log),
            )
            for log in LOGS
        }

    async def start(self) -> None:
        """Connect the writers and begin to write."""
        try:
            await self._notifier.start()
            for writer in self._writers.values():
                await writer.start()
            await self._look_for_sealing()
            await self._read(SESSION["forget_answers"], days=ANSWERS_KEPT_DAYS)
            await self._snapshots.start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Write what was accepted, then disconnect."""
        await self._snapshots.stop()
        for writer in self._writers.values():
            await writer.stop()
        await self._notifier.stop()

    @override
    async def load[A: Aggregate[Any]](
        self,
        kind: type[A],
        aggregate_id: UUID,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> A:
        upto = ALL if version is None else min(version, ALL)
        if at is not None:
            upto = min(upto, await self._version_at(kind.log, aggregate_id, at))
        aggregate, replayed = await self._loaded(kind, aggregate_id, upto)
        if replayed >= THRESHOLD and upto == ALL:
            self._snapshots.want(kind, aggregate_id)
        return aggregate

    @override
    async def load_each[A: Aggregate[Any]](
        self, kind: type[A], ids: Iterable[UUID]
    ) -> list[A]:
        found: list[A] = []
        for some in batched(dict.fromkeys(ids), AT_ONCE):
            these = {stream: kind(stream) for stream in some}
            rows = await self._snapshots.resume_each(kind, these, limit=PAGE)
            for stream, aggregate in these.items():
                await self._replay(aggregate, upto=ALL, rows=rows.get(stream, []))
                if aggregate.version == 0:
                    raise StreamNotFoundError(stream)
            found += these.values()
        return found

    async def _loaded[A: Aggregate[Any]](
        self, kind: type[A], stream: UUID, upto: int
    ) -> tuple[A, int]:
        """Return an aggregate, and how many versions were replayed to come there."""
        aggregate = kind(stream)
        shape, rows = self._snapshots.shape(kind), None
        if shape is not None:
            try:
                rows = await self._snapshots.resume(
                    aggregate, shape, upto=upto, limit=PAGE
                )
            except BrokenSnapshotError as broken:
                logger.warning("The snapshot of %s is of no use: %s", stream, broken)
        begun = aggregate.version
        await self._replay(aggregate, upto=upto, rows=rows)
        if aggregate.version == 0:
            raise StreamNotFoundError(stream)
        return aggregate, aggregate.version - begun

    async def _reloaded(self, kind: type[Aggregate[Any]], stream: UUID) -> Any:
        aggregate, _ = await self._loaded(kind, stream, ALL)
        return aggregate

    async def _replay(
        self, aggregate: Aggregate[Any], *, upto: int, rows: list[TupleRow] | None
    ) -> None:
        while True:
            if rows is None:
                rows = await self._read(
                    STATEMENTS[aggregate.log]["replay"],
                    stream=aggregate.id,
                    after=aggregate.version,
                    upto=upto,
                    limit=PAGE,
                )
            if rows and not await self._mapper.replay(aggregate, rows):
                raise StreamNotFoundError(aggregate.id)
            if len(rows) < PAGE:
                return
            rows = None

    async def _version_at(self, log: Log, stream: UUID, at: datetime) -> int:
        [(version,)] = await self._read(
            STATEMENTS[log]["version_at"], stream=stream, at=at
        )
        return ALL if version is None else int(version)

    @override
    async def save(
        self,
        *aggregates: Aggregate[Any],
        cause: Cause,
        attached: Attached | None = None,
        answer: bytes = b"",
        anywhere: Sequence[Aggregate[Any]] = (),
    ) -> Saved:
        command = compose(
            self._mapper,
            keys=await self._keys_to_seal((*aggregates, *anywhere)),
            expecting=aggregates,
            anywhere=anywhere,
            cause=cause,
            attached=attached,
            answer=answer,
        )
        if command.empty:
            return Saved(Position(), answer)
        saved = await self._writers[command.log].append(command)
        if not saved.repeated:
            settle(command, (*aggregates, *anywhere))
        return saved

    @override
    async def answered(self, cause: Cause) -> Saved | None:
        here = await self._outcome_here(cause)
        if not cause.idempotent:
            return here
        return self._answer(cause, await self._read(SESSION["answered"], **_key(cause)))

    @override
    async def outcome(self, cause: Cause) -> Saved | None:
        here = await self._outcome_here(cause)
        if not cause.idempotent:
            return here
        try:
            rows = await self._after_commits(SESSION["answered"], **_key(cause))
        except errors.LockNotAvailable as error:
            raise StoreBusyError from error
        return self._answer(cause, rows)

    async def _outcome_here(self, cause: Cause) -> Saved | None:
        key = key_of(cause)
        found: Saved | None = None
        for writer in self._writers.values():
            try:
                found = await writer.outcome(key) or found
            except OutcomeUnknownError:
                if not cause.idempotent:
                    raise
        return found and msgspec.structs.replace(found, repeated=True)

    def _answer(self, cause: Cause, rows: Sequence[TupleRow]) -> Saved | None:
        if any(request_hash != cause.request_hash for _, request_hash, _, _ in rows):
            raise IdempotencyKeyReusedError
        for log, _, answer, position in rows:
            return Saved(position_in(log, position), answer, repeated=True)
        return None

    @override
    async def read_stream(
        self, log: Log, stream: UUID, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        rows = await self._read(
            STATEMENTS[log]["read_stream"], stream=stream, after=after, limit=limit
        )
        return await self._recorded(log, rows)

    @override
    async def read_log(
        self, log: Log, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        rows = await self._read(STATEMENTS[log]["read_log"], after=after, limit=limit)
        return await self._recorded(log, rows)

    async def read_places(self, log: Log, places: Sequence[int]) -> list[Recorded]:
        """Return the events at *places*, in that order."""
        if not places:
            return []
        rows = await self._read(
            STATEMENTS[log]["read_places"], places=[Int8(place) for place in places]
        )
        return await self._recorded(log, rows)

    async def opened(self, log: Log, events: Sequence[StoredEvent]) -> list[Recorded]:
        """Return events that were stored, and may have been archived, as they read."""
        rows = [
            (
                *(event.stream, event.version, event.position),
                *(moment(event.recorded_at), event.tag, event.schema_version),
                *(event.state, event.metadata, event.subject),
            )
            for event in events
        ]
        return await self._recorded(log, rows)

    @override
    async def head(self) -> Position:
        [(core, runs)] = await self._read(SESSION["head"])
        return Position(core, runs)

    async def _keys_to_seal(self, aggregates: Sequence[Aggregate[Any]]) -> Keys:
        if not self._sealing:
            # An operator may say so at any time, while servers run.
            if time.monotonic() < self._looked_at + LOOKED_AGAIN:
                return NO_KEYS
            await self._look_for_sealing()
        return await self._mapper.keys_to_seal(aggregates) if self._sealing else NO_KEYS

    async def _look_for_sealing(self) -> None:
        self._looked_at = time.monotonic()
        [(self._sealing,)] = await self._read(SESSION["feature"], name=SEALED_STATES)

    async def _read(self, statement: bytes, **parameters: object) -> list[TupleRow]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(statement, parameters)
            return await cursor.fetchall()

    async def _after_commits(
        self, statement: bytes, **parameters: object
    ) -> list[TupleRow]:
        """Read once the commits that are under way on any server have ended."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
            connection.transaction(),
        ):
            await connection.execute(
                SESSION["after_commits"],
                {
                    "lock": LOCK_TIMEOUT,
                    "core": LOCK_KEYS["core"],
                    "runs": LOCK_KEYS["runs"],
                },
            )
            await cursor.execute(statement, parameters)
            return await cursor.fetchall()

    async def _recorded(self, log: Log, rows: Sequence[TupleRow]) -> list[Recorded]:
        keys = await self._mapper.keys_to_open({row[-1] for row in rows})
        recorded = self._decoded(log, rows[:SLICE], keys)
        for start in range(SLICE, len(rows), SLICE):
            await asyncio.sleep(0)
            recorded += self._decoded(log, rows[start : start + SLICE], keys)
        return recorded

    def _decoded(
        self, log: Log, rows: Sequence[TupleRow], keys: Keys
    ) -> list[Recorded]:
        read = self._mapper.read
        return [
            Recorded(
                log=log,
                stream=stream,
                version=version,
                position=position,
                at=at,
                event=read(stream, Stored(topic, schema_version, state, subject), keys),
                metadata=read_metadata(metadata),
            )
            for (
                stream,
                version,
                position,
                at,
                topic,
                schema_version,
                state,
                metadata,
                subject,
            ) in rows
        ]

    def _committed(self, log: Log, position: Position) -> None:
        self._notifier.tell(position)
        for told in self.on_append:
            try:
                told(log, position)
            except Exception:  # its commit stands; the writer must go on
                logger.exception("Somebody could not take the news of %s", position)


def _key(cause: Cause) -> dict[str, UUID]:
    return {"id": cause.command_id, "actor": cause.actor.user or NOBODY}
