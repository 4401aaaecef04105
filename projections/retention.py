"""Removes what has outlived its time, and moves what history keeps to archives."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import psycopg
from psycopg import AsyncConnection

from application.ports import Blobs, Cause
from domain.kernel import DomainError
from domain.operation.events import RetentionApplied
from domain.operation.operation import Operation
from infrastructure.archive.archiver import Archiver, NothingMovedError
from infrastructure.blobs.several import delete_all
from infrastructure.event_store.statements import named
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.evidence.segments import Sign
from infrastructure.postgres import Database, connection_string
from projections.keeping import Keeping, before

RETENTION_LOCK: Final = 0x6C62_7265
"""The advisory lock of who applies the retention, by schedule or by hand."""
BATCH: Final = 1000
ANSWERS: Final = timedelta(days=7)
"""How long a repeat of a command gets its first answer."""
SLACK: Final = timedelta(days=1)
"""How much longer something lies than it is shown, for runs go on for a while."""

_SQL: Final = named("aging.sql", package="projections")


class RetentionRunningError(DomainError):
    """What outlived its time is being removed already; wait for that."""


class Aged(msgspec.Struct, frozen=True, kw_only=True):
    """
    What has outlived its time, of one kind.

    ``bytes`` are those of contents, files or partitions, as far as they are known;
    ``stays`` tells why it could not go.
    """

    kind: str
    rows: int
    bytes: int
    stays: str | None = None


type Told = Callable[[Aged], None]
"""Hears of each kind as it is done."""


class Retention:
    """Applies what the settings say about how long things are kept."""

    def __init__(
        self,
        database: Database,
        store: PostgresEventStore,
        blobs: Blobs,
        sign: Sign,
        keeping: Keeping,
    ) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._keeping = keeping
        self._archiver = Archiver(database, store, blobs, sign, self._spoken)

    async def preview(self, *, now: datetime | None = None) -> list[Aged]:
        """Tell what would go, and change nothing."""
        now = now or datetime.now(UTC)
        found = []
        async with self._database.pool.connection() as connection:
            for kind, parameters in (await self._kinds(connection, now)).items():
                rows = await connection.execute(_SQL[f"count {kind}"], parameters)
                [count, size] = await rows.fetchone() or (0, 0)
                found.append(Aged(kind=kind, rows=count, bytes=size))
        left = await self._left_over(now)
        found.append(Aged(kind="files", rows=len(left), bytes=sum(left.values())))
        return found + await self._history(now)

    async def apply(
        self, *, cause: Cause, now: datetime | None = None, told: Told | None = None
    ) -> list[Aged]:
        """
        Remove and archive what has outlived its time, and put that on record.

        Raise `RetentionRunningError` if somebody does it already.
        """
        now = now or datetime.now(UTC)
        done: list[Aged] = []
        async with self._alone() as connection:
            async for aged in self._apply(connection, now, cause):
                done.append(aged)
                if told is not None:
                    told(aged)
        removed = {one.kind: one.rows for one in done if one.rows and not one.stays}
        if removed:
            size = sum(one.bytes for one in done if not one.stays)
            applied = RetentionApplied(removed=removed, bytes=size)
            await self._store.save(Operation.of(uuid4(), applied), cause=cause)
        return done

    async def _apply(
        self, connection: AsyncConnection[Any], now: datetime, cause: Cause
    ) -> AsyncIterator[Aged]:
        for kind, parameters in (await self._kinds(connection, now)).items():
            yield await self._removed(connection, kind, parameters)
        yield await self._swept(now)
        try:
            await self._archiver.finish(cause=cause)
            await self._archiver.prepare()
            async for aged in self._compacted(now, cause):
                yield aged
            async for aged in self._archived(now, cause):
                yield aged
        except psycopg.OperationalError as error:
            yield Aged(kind="archives", rows=0, bytes=0, stays=_said(error))

    async def _removed(
        self, connection: AsyncConnection[Any], kind: str, parameters: dict[str, Any]
    ) -> Aged:
        rows = size = 0
        while True:
            # Rows alone tell where blobs lie: they stay, should we be killed before.
            async with connection.transaction():
                cursor = await connection.execute(_SQL[f"remove {kind}"], parameters)
                [count, freed, addresses] = await cursor.fetchone() or (0, 0, None)
                await delete_all(self._blobs, addresses or ())
            rows, size = rows + count, size + freed
            if not count:
                return Aged(kind=kind, rows=rows, bytes=size)

    async def _swept(self, now: datetime) -> Aged:
        left = await self._left_over(now)
        if left:
            await self._blobs.sweep(left)
        return Aged(kind="files", rows=len(left), bytes=sum(left.values()))

    async def _left_over(self, now: datetime) -> Mapping[str, int]:
        moment = before(now, self._keeping.files)
        if moment is None:
            return {}
        return await self._blobs.left_over(before=moment)

    async def _compacted(self, now: datetime, cause: Cause) -> AsyncIterator[Aged]:
        moment = before(now, self._keeping.messages)
        if moment is None:
            return
        rows = size = 0
        stays = None
        try:
            while archive := await self._archiver.compact(
                before=_month(moment), cause=cause
            ):
                rows, size = rows + archive.events, size + archive.bytes
        except NothingMovedError as error:
            stays = str(error)
        if rows or stays is None:
            yield Aged(kind="threads", rows=rows, bytes=size)
        if stays:
            yield Aged(kind="threads", rows=0, bytes=0, stays=stays)

    async def _archived(self, now: datetime, cause: Cause) -> AsyncIterator[Aged]:
        moment = before(now, self._keeping.runs)
        if moment is None:
            return
        for month in await self._archiver.candidates(before=moment):
            kind, rows, size = month.partition, month.events, month.bytes
            stays = month.stays
            if stays is None:
                try:
                    archive = await self._archiver.archive(month, cause=cause)
                    rows = archive.events if archive else 0
                except NothingMovedError as error:
                    stays = str(error)
            yield Aged(kind=kind, rows=rows, bytes=size, stays=stays)

    async def _history(self, now: datetime) -> list[Aged]:
        """Tell what would move from the log of runs to archives."""
        found = []
        try:
            if moment := before(now, self._keeping.messages):
                found.append(await self._sayings(_month(moment)))
            if moment := before(now, self._keeping.runs):
                found += [
                    Aged(
                        kind=one.partition,
                        rows=one.events,
                        bytes=one.bytes,
                        stays=one.stays,
                    )
                    for one in await self._archiver.candidates(before=moment)
                ]
        except psycopg.OperationalError as error:
            found.append(Aged(kind="archives", rows=0, bytes=0, stays=_said(error)))
        return found

    async def _sayings(self, moment: datetime) -> Aged:
        try:
            rows, size = await self._archiver.aged(before=moment)
        except NothingMovedError as error:
            return Aged(kind="threads", rows=0, bytes=0, stays=str(error))
        return Aged(kind="threads", rows=rows, bytes=size)

    async def _kinds(
        self, connection: AsyncConnection[Any], now: datetime
    ) -> dict[str, dict[str, Any]]:
        """Return the kinds of rows that age, and before when they have."""
        keeping = self._keeping
        transactions = before(now, keeping.transactions)
        moments: dict[str, datetime | None] = {
            "sessions": before(now, keeping.sessions),
            "links": before(now, keeping.sessions),
            "answers": now - ANSWERS,
            "blobs": before(now, keeping.files),
        }
        there = await (await connection.execute(_SQL["there"])).fetchone()
        if there and there[0]:
            moments |= {
                "messages": before(now, keeping.messages),
                "builds": before(now, keeping.builds),
                "transactions": transactions,
                "results": transactions and transactions - SLACK,
                "runs": before(now, keeping.runs),
            }
        builds = before(now, keeping.builds)
        return {
            kind: {"before": moment, "builds": builds, "limit": BATCH}
            for kind, moment in moments.items()
            if moment is not None
        }

    async def _spoken(self, ids: Sequence[UUID]) -> Collection[UUID]:
        """Return those contents that a message still shows."""
        moment = before(datetime.now(UTC), self._keeping.messages)
        async with self._database.pool.connection() as connection:
            there = await (await connection.execute(_SQL["there"])).fetchone()
            if not there or not there[0]:
                return ids
            asked = {"ids": list(ids), "before": moment}
            cursor = await connection.execute(_SQL["spoken"], asked)
            return {content for (content,) in await cursor.fetchall()}

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[AsyncConnection[Any]]:
        dsn = connection_string(self._database.dsn)
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            asked = await connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (RETENTION_LOCK,)
            )
            [free] = await asked.fetchone() or (False,)
            if not free:
                raise RetentionRunningError
            yield connection


def _month(moment: datetime) -> datetime:
    """Return when the month began, so that archives are few."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _said(error: psycopg.Error) -> str:
    lines = str(error).strip().splitlines()
    return f"the owner's connection failed: {lines[0] if lines else 'no reason given'}"
