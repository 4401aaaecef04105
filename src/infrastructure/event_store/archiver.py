"""Moves finished runs, and what threads said long ago, from the log to archives."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, errors

from application.ports import Blobs, Cause, ConcurrencyError
from domain.kernel import ContentRef
from domain.operation.events import RunsArchived
from domain.operation.operation import Operation
from infrastructure.event_store.archive_writing import write
from infrastructure.event_store.archives import (
    ARCHIVES,
    ENDS,
    SAYINGS,
    THREADS,
    Archive,
    ArchivedStream,
    Manifest,
    archive_id,
    on,
    stored_event,
)
from infrastructure.event_store.segments import ARCHIVER_LOCK, Sign, StoredEvent, moment
from infrastructure.event_store.shelf import Shelf
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database, connection_string

PAGE = 500
STREAMS = 2000
"""Rows in a page of a partition, and streams in one of an archive's list."""
COMPACTED = 20_000
"""How many events of threads one archive takes."""
TRIES = 10
LOCK_TIMEOUT = "2s"
"""How long others may have to wait behind us while we wait for the log."""

_MONTH = re.compile(r"runs_events_(\d{4})_(\d{2})", re.ASCII)

type InUse = Callable[[Sequence[UUID]], Awaitable[Collection[UUID]]]
"""Tells which contents somebody can still read, such as those of messages."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A partition whose time has come; ``stays`` tells why it cannot go yet."""

    partition: str
    since: datetime
    until: datetime
    events: int
    bytes: int
    stays: str | None = None


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

    async def candidates(self, *, before: datetime) -> list[Candidate]:
        """Return the partitions of runs whose month had ended *before*."""
        month = f"runs_events_{before.astimezone(UTC):%Y_%m}"
        async with self._owner() as connection:
            owns = await _one(connection, ARCHIVES["owner"])
            rows = await (
                await connection.execute(ARCHIVES["candidates"], {"before": month})
            ).fetchall()
            found = []
            for partition, events, size in rows:
                since, until = _span(partition)
                candidate = Candidate(
                    partition=partition,
                    since=since,
                    until=until,
                    events=max(events, 0),
                    bytes=size,
                )
                stays = await _stays(connection, partition, before=before, owns=owns)
                found.append(msgspec.structs.replace(candidate, stays=stays))
        return found

    async def archive(self, candidate: Candidate, *, cause: Cause) -> Archive | None:
        """
        Move all events of a partition; return the archive, if there was anything.

        Raise `NothingMovedError` if the log was in use all the time.
        """
        partition = candidate.partition
        async with self._owner() as connection:
            [count, _, last, _] = await _row(connection, on("extent", partition))
            if count:
                manifest, address = await write(
                    self._blobs,
                    partition,
                    _events(connection, partition),
                    _streams(connection, partition),
                    since=candidate.since,
                    until=candidate.until,
                )
                last = manifest.last
                row = self._shelved(manifest, address)
            else:
                row = None

            async def leave() -> None:
                await connection.execute(b"LOCK TABLE ONLY es.runs_events")
                if await _one(connection, on("later", partition), last=last):
                    raise NothingMovedError(f"{partition} has grown meanwhile")
                await connection.execute(on("drop", partition))

            await self._leave(connection, row, leave)
        return await self._recorded(row, cause=cause) if row else None

    async def compact(self, *, before: datetime, cause: Cause) -> Archive | None:
        """
        Move what threads said *before*, at most so many events; return the archive.

        What opened, renamed or deleted a thread stays, and so does its newest event.
        """
        async with self._owner() as connection:
            upto = await _one(connection, ARCHIVES["sealed"])
            if lagging := await _behind(connection, upto):
                raise NothingMovedError(lagging)
            pages = [page async for page in _aged(connection, before=before, upto=upto)]
            events = [event for page in pages for event in page]
            if not events:
                return None
            streams = _listed(events)
            manifest, address = await write(
                self._blobs,
                THREADS,
                _paged(pages),
                _paged([streams]),
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
        return await self._recorded(row, cause=cause)

    async def finish(self, *, cause: Cause) -> list[Archive]:
        """Put on record the archives whose making was interrupted before that."""
        async with self._database.pool.connection() as connection:
            cursor = await connection.execute(ARCHIVES["unrecorded"])
            found = [Archive(*row) for row in await cursor.fetchall()]
        return [await self._recorded(archive, cause=cause) for archive in found]

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
                    if not await _one(connection, ARCHIVES["alone"], key=ARCHIVER_LOCK):
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
        for recorded in await self._store.opened("runs", events):
            for value in msgspec.structs.astuple(recorded.event):
                if isinstance(value, ContentRef):
                    named.add(value.id)
        kept = await self._in_use(list(named))
        async with self._database.pool.connection() as connection:
            cursor = await connection.execute(
                ARCHIVES["forget"], {"ids": list(named), "kept": list(kept)}
            )
            addresses = [row[0] for row in await cursor.fetchall() if row[0]]
        for address in addresses:
            await self._blobs.delete(address)

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


async def _stays(
    connection: AsyncConnection[Any], partition: str, *, before: datetime, owns: bool
) -> str | None:
    """Tell why the events of a partition cannot leave the log yet."""
    if not owns:
        return "the owner of the tables is not known: set LANGBUILDER_MIGRATION_URL"
    count, _, last, newest = await _row(connection, on("extent", partition))
    if not count:
        return None
    if newest >= before:
        return f"something happened in it at {newest:%Y-%m-%d %H:%M} UTC"
    if run := await _one(connection, on("unfinished", partition), ends=ENDS):
        return f"the run {run} has not ended"
    if last > await _one(connection, ARCHIVES["sealed"]):
        return "it is not sealed yet: let a server run for a minute"
    return await _behind(connection, last)


async def _behind(connection: AsyncConnection[Any], last: int) -> str | None:
    name = await _one(connection, ARCHIVES["behind"], last=last)
    return f"the projection {name} has not read all of it" if name else None


async def _events(
    connection: AsyncConnection[Any], partition: str
) -> AsyncIterator[list[StoredEvent]]:
    after = 0
    cursor = connection.cursor(binary=True)
    while True:
        asked = {"after": after, "limit": PAGE}
        await cursor.execute(on("events", partition), asked)
        page = [stored_event(row) for row in await cursor.fetchall()]
        if not page:
            return
        yield page
        after = page[-1].position


async def _streams(
    connection: AsyncConnection[Any], partition: str
) -> AsyncIterator[list[ArchivedStream]]:
    after = UUID(int=0)
    while True:
        asked = {"after": after, "limit": STREAMS, "ends": ENDS}
        cursor = await connection.execute(on("streams", partition), asked)
        page = [ArchivedStream(*row) for row in await cursor.fetchall()]
        if not page:
            return
        yield page
        after = page[-1].stream


async def _aged(
    connection: AsyncConnection[Any], *, before: datetime, upto: int
) -> AsyncIterator[list[StoredEvent]]:
    after = read = 0
    cursor = connection.cursor(binary=True)
    while read < COMPACTED:
        await cursor.execute(
            ARCHIVES["aged"],
            {
                "after": after,
                "upto": upto,
                "topics": SAYINGS,
                "before": before,
                "limit": PAGE,
            },
        )
        page = [stored_event(row) for row in await cursor.fetchall()]
        if not page:
            return
        yield page
        after, read = page[-1].position, read + len(page)


async def _paged[T](pages: Sequence[list[T]]) -> AsyncIterator[list[T]]:
    for page in pages:
        yield page


def _listed(events: Sequence[StoredEvent]) -> list[ArchivedStream]:
    found: dict[UUID, list[StoredEvent]] = {}
    for event in events:
        found.setdefault(event.stream, []).append(event)
    return [
        ArchivedStream(
            stream=stream,
            events=len(of),
            first=of[0].position,
            last=of[-1].position,
            since=moment(min(event.recorded_at for event in of)),
            until=moment(max(event.recorded_at for event in of)),
        )
        for stream, of in sorted(found.items())
    ]


def _span(partition: str) -> tuple[datetime, datetime]:
    """Return when the runs of a month's partition were requested."""
    match = _MONTH.fullmatch(partition)
    if match is None:
        raise ValueError(partition)
    year, month = int(match[1]), int(match[2])
    since = datetime(year, month, 1, tzinfo=UTC)
    return since, since.replace(year=year + month // 12, month=month % 12 + 1)


async def _row(
    connection: AsyncConnection[Any], statement: bytes, **values: object
) -> Any:
    return await (await connection.execute(statement, values or None)).fetchone()


async def _one(
    connection: AsyncConnection[Any], statement: bytes, **values: object
) -> Any:
    row = await _row(connection, statement, **values)
    return row[0] if row else None
