"""What may leave the log of runs, and what else must have happened before."""

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from infrastructure.archive.archives import (
    ARCHIVES,
    ENDS,
    SAYINGS,
    ArchivedStream,
    on,
    stored_event,
)
from infrastructure.event_store.stored_event import StoredEvent, moment

PAGE = 500
STREAMS = 2000
"""Rows in a page of a partition, and streams in one of an archive's list."""
COMPACTED = 20_000
"""How many events of threads one archive takes."""

NO_OWNER = "its owner is not known: set LANGBUILDER_MIGRATION_URL"

_MONTH = re.compile(r"runs_events_(\d{4})_(\d{2})", re.ASCII)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A partition whose time has come; ``stays`` tells why it cannot go yet."""

    partition: str
    since: datetime
    until: datetime
    events: int
    bytes: int
    stays: str | None = None


async def candidates(
    connection: AsyncConnection[Any], *, before: datetime
) -> list[Candidate]:
    """Return the partitions of runs whose month had ended *before*."""
    owns = await one_value(connection, ARCHIVES["owner"])
    asked = {"before": f"runs_events_{before.astimezone(UTC):%Y_%m}"}
    cursor = await connection.execute(ARCHIVES["candidates"], asked)
    found = []
    for partition, size in await cursor.fetchall():
        since, until = span_of(partition)
        extent = _Extent(0, 0, 0, before)
        if owns:
            extent = _Extent(*await one_row(connection, on("extent", partition)))
            stays = await _why_it_stays(connection, partition, extent, before=before)
        else:
            stays = NO_OWNER
        found.append(
            Candidate(
                partition=partition,
                since=since,
                until=until,
                events=extent.events,
                bytes=size,
                stays=stays,
            )
        )
    return found + (await _strays(connection, before=before) if owns else [])


async def _strays(
    connection: AsyncConnection[Any], *, before: datetime
) -> list[Candidate]:
    """Return the default partition as one that stays, if anything old lies there."""
    events, size, oldest = await one_row(connection, ARCHIVES["strays"], before=before)
    if not events:
        return []
    return [
        Candidate(
            partition="runs_events_default",
            since=oldest,
            until=before,
            events=events,
            bytes=size,
            stays="they lie in no month's partition, and stay in the log",
        )
    ]


class _Extent(NamedTuple):
    events: int
    first: int
    last: int
    newest: datetime | None


async def _why_it_stays(
    connection: AsyncConnection[Any],
    partition: str,
    extent: _Extent,
    *,
    before: datetime,
) -> str | None:
    """Tell why the events of a partition cannot leave the log yet."""
    if extent.newest is None:
        return None
    if extent.newest >= before:
        return f"something happened in it at {extent.newest:%Y-%m-%d %H:%M} UTC"
    if run := await one_value(connection, on("unfinished", partition), ends=ENDS):
        return f"the run {run} has not ended"
    if extent.last > await one_value(connection, ARCHIVES["sealed"]):
        return "it is not sealed yet: let a server run for a minute"
    return await behind(connection, extent.last)


async def behind(connection: AsyncConnection[Any], last: int) -> str | None:
    name = await one_value(connection, ARCHIVES["behind"], last=last)
    return f"the projection {name} has not read all of it" if name else None


async def events_in(
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


async def streams_in(
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


async def aged_events(
    connection: AsyncConnection[Any], *, before: datetime, after: int, upto: int
) -> tuple[list[StoredEvent], int]:
    """
    Return what threads said *before*, as much of it as one archive takes.

    Return also up to which position that is all of it.
    """
    found: list[StoredEvent] = []
    cursor = connection.cursor(binary=True)
    asked = {"upto": upto, "topics": SAYINGS, "before": before, "limit": PAGE}
    while len(found) < COMPACTED:
        await cursor.execute(ARCHIVES["aged"], asked | {"after": after})
        page = [stored_event(row) for row in await cursor.fetchall()]
        if not page:
            return found, upto
        found += page
        after = page[-1].position
    return found, after


async def paged[T](pages: Sequence[list[T]]) -> AsyncIterator[list[T]]:
    for page in pages:
        yield page


def listed_streams(events: Sequence[StoredEvent]) -> list[ArchivedStream]:
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


def span_of(partition: str) -> tuple[datetime, datetime]:
    """Return when the runs of a month's partition were requested."""
    match = _MONTH.fullmatch(partition)
    if match is None:
        raise ValueError(partition)
    year, month = int(match[1]), int(match[2])
    since = datetime(year, month, 1, tzinfo=UTC)
    return since, since.replace(year=year + month // 12, month=month % 12 + 1)


async def one_row(
    connection: AsyncConnection[Any], statement: bytes, **values: object
) -> Any:
    return await (await connection.execute(statement, values or None)).fetchone()


async def one_value(
    connection: AsyncConnection[Any], statement: bytes, **values: object
) -> Any:
    row = await one_row(connection, statement, **values)
    return row[0] if row else None
