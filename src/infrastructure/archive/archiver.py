"""Moves finished runs, and what threads said long ago, from the log to archives."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, errors

from application.ports import Blobs, Cause, ConcurrencyError
from domain.kernel import ContentRef
from domain.operation.events import RunsArchived
from domain.operation.operation import Operation
from infrastructure.archive.archives import (
    ARCHIVES,
    SAYINGS,
    THREADS,
    Archive,
    Manifest,
    archive_id,
    on,
)
from infrastructure.archive.leaving import (
    NO_OWNER,
    PAGE,
    STREAMS,
    Candidate,
    aged_events,
    behind,
    candidates,
    events_in,
    listed_streams,
    one_row,
    one_value,
    paged,
    streams_in,
)
from infrastructure.archive.shelf import Shelf
from infrastructure.archive.writing import write
from infrastructure.blobs.several import delete_all
from infrastructure.event_store.migrate import MONTHS_AHEAD
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.stored_event import StoredEvent
from infrastructure.evidence.segments import ARCHIVER_LOCK, Sign
from infrastructure.postgres import Database, connection_string

TRIES = 10
LOCK_TIMEOUT = "2s"
"""How long others may have to wait behind us while we wait for the log."""

type InUse = Callable[[Sequence[UUID]], Awaitable[Collection[UUID]]]
"""Tells which contents somebody can still read, such as those of messages."""


class NothingMovedError(Exception):
    """Events stay where they are for now, and why."""


class Archiver:
    """
    Moves events as they are stored, and only as the owner of the tables.

    Files come first, and are read back; then one transaction puts the archive on the
    shelf and takes the events from the log; then it is recorded. The same events make
    the same files, so whoever was interrupted begins again.
    """

    def __init__(
        self,
        database: Database,
        store: PostgresEventStore,
        blobs: Blobs,
        sign: Sign,
        in_use: InUse,
    ) -> None:
        self._database = database
        self._store = store
        self._blobs = blobs
        self._sign = sign
        self._in_use = in_use
        self._shelf = Shelf(blobs)
        self._compacted: tuple[datetime, int] | None = None

    async def candidates(self, *, before: datetime) -> list[Candidate]:
        """Return the partitions of runs whose month had ended *before*."""
        async with self._owner() as connection:
            return await candidates(connection, before=before)

    async def archive(self, candidate: Candidate, *, cause: Cause) -> Archive | None:
        """
        Move all events of a partition; return the archive, if there was anything.

        Raise `NothingMovedError` if the log was in use all the time.
        """
        partition = candidate.partition
        async with self._owner() as connection:
            [count, _, last, _] = await one_row(connection, on("extent", partition))
            if count:
                manifest, address = await write(
                    self._blobs,
                    partition,
                    events_in(connection, partition),
                    streams_in(connection, partition),
                    since=candidate.since,
                    until=candidate.until,
                )
                last = manifest.last
                row = self._shelved(manifest, address)
            else:
                row = None

            async def leave() -> None:
                await connection.execute(b"LOCK TABLE ONLY es.runs_events")
                if await one_value(connection, on("later", partition), last=last):
                    raise NothingMovedError(f"{partition} has grown meanwhile")
                await connection.execute(on("drop", partition))

            await self._leave(connection, row, leave)
        return await self._recorded(row, cause=cause) if row else None

    async def compact(self, *, before: datetime, cause: Cause) -> Archive | None:
        """
        Move what threads said *before*, at most so many events; return the archive.

        What opened, renamed or deleted a thread stays, and so does its newest event.
        Who asks again with the same *before* hears only of positions not looked at yet:
        what was a newest event then goes with a later moment.
        """
        async with self._owner() as connection:
            await _refuse_others(connection)
            upto = await one_value(connection, ARCHIVES["sealed"])
            if lagging := await behind(connection, upto):
                raise NothingMovedError(lagging)
            since, after = self._compacted or (before, 0)
            events, looked = await aged_events(
                connection,
                before=before,
                after=after if since == before else 0,
                upto=upto,
            )
            row = await self._taken_out(connection, events) if events else None
            self._compacted = before, looked
        return await self._recorded(row, cause=cause) if row else None

    async def aged(self, *, before: datetime) -> tuple[int, int]:
        """
        Return how many sayings of threads are that old, and their bytes.

        Raise `NothingMovedError` if they could not be moved.
        """
        async with self._owner() as connection:
            await _refuse_others(connection)
            events, size = await one_row(
                connection, ARCHIVES["aged_extent"], topics=SAYINGS, before=before
            )
            return events, size

    async def prepare(self) -> None:
        """See that there are partitions for the months to come, if that is ours."""
        async with self._owner() as connection:
            if await one_value(connection, ARCHIVES["owner"]):
                await connection.execute(ARCHIVES["months"], {"ahead": MONTHS_AHEAD})

    async def finish(self, *, cause: Cause) -> list[Archive]:
        """Put on record the archives whose making was interrupted before that."""
        async with self._database.pool.connection() as connection:
            cursor = await connection.execute(ARCHIVES["unrecorded"])
            found = [Archive(*row) for row in await cursor.fetchall()]
        return [await self._recorded(archive, cause=cause) for archive in found]

    async def _taken_out(
        self, connection: AsyncConnection[Any], events: Sequence[StoredEvent]
    ) -> Archive:
        """Move *events* from their threads to an archive, and shelve it."""
        streams = listed_streams(events)
        manifest, address = await write(
            self._blobs,
            THREADS,
            paged([list(events)]),
            paged([streams]),
            since=min(one.since for one in streams),
            until=max(one.until for one in streams),
        )
        row = self._shelved(manifest, address)

        async def leave() -> None:
            gone = await connection.execute(
                ARCHIVES["remove"],
                {
                    "positions": [event.position for event in events],
                    "streams": [event.stream for event in events],
                    "versions": [event.version for event in events],
                },
            )
            if gone.rowcount != len(events):
                raise NothingMovedError("the threads were compacted elsewhere")

        await self._leave(connection, row, leave)
        return row

    async def _leave(
        self,
        connection: AsyncConnection[Any],
        row: Archive | None,
        leave: Callable[[], Awaitable[None]],
    ) -> None:
        """Shelve the archive and take its events from the log, both or neither."""
        for left in reversed(range(TRIES)):
            try:
                async with connection.transaction():
                    await connection.execute(
                        f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'".encode()
                    )
                    if not await one_value(
                        connection, ARCHIVES["alone"], key=ARCHIVER_LOCK
                    ):
                        raise NothingMovedError("history is being verified")
                    if row is not None:
                        values = msgspec.structs.astuple(row)[:-1]
                        await connection.execute(ARCHIVES["shelve"], values)
                    await leave()
            except errors.LockNotAvailable as error:
                if not left:
                    raise NothingMovedError(
                        "the log was in use all the time"
                    ) from error
            else:
                return

    async def _recorded(self, archive: Archive, *, cause: Cause) -> Archive:
        """Delete the contents that nobody reads any more, then record the archive."""
        for chunk in (await self._shelf.manifest(archive)).chunks:
            await self._forget_contents(await self._shelf.events(chunk))
        await self._disown(archive)
        done = RunsArchived(
            partition=archive.partition,
            since=archive.since,
            until=archive.until,
            runs=archive.runs,
            events=archive.events,
            first=archive.first_position,
            last=archive.last_position,
            digest=archive.digest,
            address=archive.address,
        )
        with suppress(ConcurrencyError):  # where somebody finished it for us
            await self._store.save(Operation.of(archive.id, done), cause=cause)
        return archive

    async def _forget_contents(self, events: Sequence[StoredEvent]) -> None:
        named: set[UUID] = set()
        for few in batched(events, PAGE):
            for recorded in await self._store.opened("runs", few):
                for value in msgspec.structs.astuple(recorded.event):
                    if isinstance(value, ContentRef):
                        named.add(value.id)
            await asyncio.sleep(0)  # others have work to do as well
        gone = named.difference(await self._in_use(list(named)))
        for ids in batched(gone, PAGE):
            # Rows alone tell where blobs lie: they stay, should we be killed before.
            async with (
                self._database.pool.connection() as connection,
                connection.transaction(),
            ):
                cursor = await connection.execute(ARCHIVES["forget"], {"ids": [*ids]})
                addresses = [row[0] for row in await cursor.fetchall() if row[0]]
                await delete_all(self._blobs, addresses)

    async def _disown(self, archive: Archive) -> None:
        after = None
        while page := await self._shelf.streams(archive, after=after, limit=STREAMS):
            after = page[-1].stream
            runs = {"runs": [one.stream for one in page]}
            async with self._database.pool.connection() as connection:
                await connection.execute(ARCHIVES["disown"], runs)

    def _shelved(self, manifest: Manifest, address: str) -> Archive:
        digest = self._sign(msgspec.json.encode(manifest)).hex()
        return Archive(
            id=archive_id(address),
            partition=manifest.partition,
            since=manifest.since,
            until=manifest.until,
            runs=manifest.streams,
            events=manifest.events,
            first_position=manifest.first,
            last_position=manifest.last,
            address=address,
            digest=digest,
            bytes=manifest.size,
            archived_at=datetime.now(UTC),
        )

    @asynccontextmanager
    async def _owner(self) -> AsyncIterator[AsyncConnection[Any]]:
        async with await AsyncConnection.connect(
            connection_string(self._database.migration_dsn), autocommit=True
        ) as connection:
            yield connection


async def _refuse_others(connection: AsyncConnection[Any]) -> None:
    if not await one_value(connection, ARCHIVES["owner"]):
        raise NothingMovedError(NO_OWNER)
