"""Events found by what people know of them, looked for in bounded pieces of a log."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, override
from uuid import UUID

from psycopg.rows import TupleRow

from application.ports.browsing import Browser, Found, Wanted
from domain.kernel import Log
from infrastructure.event_store.command import NOBODY
from infrastructure.event_store.statements import named
from infrastructure.event_store.store import ALL, PostgresEventStore
from infrastructure.postgres import Database

SCANNED = 20_000
"""How many rows one question looks at."""
PAGE_BYTES = 8 * 1024 * 1024
"""How much a page may hold, unless a single event is larger."""
CLOCK_MARGIN = timedelta(minutes=5)
"""By how much the database's clock may be set back without an event being missed."""

_IN_STREAM = "originator_id = %(stream)s"
_CONDITIONS = {
    "exact_tag": "topic = %(exact_tag)s",
    "tag_prefix": "starts_with(topic, %(tag_prefix)s)",
    "since": "recorded_at >= %(since)s",
    "until": "recorded_at < %(until)s",
    "actor": "position(%(actor)s in metadata) > 0",
    "correlation": "position(%(correlation)s in metadata) > 0",
    "command": "position(%(command)s in metadata) > 0",
}
_LOGS: tuple[Log, ...] = ("core", "runs")


class PostgresBrowser(Browser):
    """
    Finds where events lie, and has the store read them.

    Moments are found by halving, for positions grow with time: there is no index on
    time or metadata, which each append would pay for.
    """

    def __init__(self, database: Database, store: PostgresEventStore) -> None:
        self._pool = database.pool
        self._store = store

    @override
    async def forwards(
        self, log: Log, wanted: Wanted, *, after: int, upto: int | None, limit: int
    ) -> Found:
        begin, end = await self.span(log, wanted)
        return await self._found(
            "forwards",
            log,
            wanted,
            after=max(min(after, ALL), begin),
            upto=end if upto is None else min(end, upto),
            limit=limit,
        )

    @override
    async def backwards(
        self, log: Log, wanted: Wanted, *, before: int | None, limit: int
    ) -> Found:
        begin, end = await self.span(log, wanted)
        beyond = min(end, ALL - 1) + 1
        before = beyond if before is None else min(before, beyond)
        return await self._found(
            "backwards", log, wanted, after=begin, before=before, limit=limit
        )

    @override
    async def span(self, log: Log, wanted: Wanted) -> tuple[int, int]:
        begin, end = 0, ALL
        if wanted.since is not None:
            begin = await self._before(log, wanted.since - CLOCK_MARGIN)
        if wanted.until is not None:
            end = await self._before(log, wanted.until + CLOCK_MARGIN)
        return begin, end

    @override
    async def streams_like(self, first: UUID, last: UUID, *, limit: int) -> list[UUID]:
        found: set[UUID] = set()
        for log in _LOGS:
            rows = await self._ask(
                _statement("streams_like", log),
                {"first": first, "last": last, "limit": limit},
            )
            found |= {stream for (stream,) in rows}
        return sorted(found)[:limit]

    async def _found(
        self, way: str, log: Log, wanted: Wanted, *, limit: int, **bounds: int
    ) -> Found:
        parameters = _parameters(wanted)
        rows = await self._ask(
            _statement(way, log, *parameters),
            {**parameters, **bounds, "limit": limit, "scan": SCANNED},
        )
        reached, looked_at, *_ = rows[0]
        places, full = _fitting([row[2:] for row in rows if row[2] is not None])
        full = full or len(places) == limit
        return Found(
            events=await self._store.read_places(log, places),
            reached=places[-1] if full else reached,
            more=full or looked_at == SCANNED,
        )

    async def _before(self, log: Log, moment: datetime) -> int:
        """Return the last position before the first event at or after *moment*."""
        head = getattr(await self._store.head(), log)
        low, high = 0, head  # all up to low is earlier; beyond high nothing is
        while low < high:
            middle = (low + high) // 2 + 1
            rows = await self._ask(_statement("next_place", log), {"place": middle})
            if not rows or rows[0][0] > high or rows[0][1] >= moment:
                high = middle - 1
            else:
                low = rows[0][0]
        return low

    async def _ask(self, statement: bytes, words: Mapping[str, Any]) -> list[TupleRow]:
        async with (
            self._pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(statement, words)
            return await cursor.fetchall()


def _parameters(wanted: Wanted) -> dict[str, Any]:
    tag = wanted.tag
    prefix = tag is not None and tag.endswith(".")
    given = {
        "stream": wanted.stream,
        "exact_tag": None if prefix else tag,
        "tag_prefix": tag if prefix else None,
        "since": wanted.since,
        "until": wanted.until,
        "actor": _pair("actor", wanted.actor),
        "correlation": _pair("correlation_id", wanted.correlation),
        "command": _pair("command_id", wanted.command),
    }
    return {name: value for name, value in given.items() if value is not None}


def _fitting(weighed: Sequence[tuple[int, int]]) -> tuple[list[int], bool]:
    """Return the first places that fit a page, and whether it is full with them."""
    places: list[int] = []
    weight = 0
    for place, size in weighed:
        weight += size
        if places and weight > PAGE_BYTES:
            return places, True
        places.append(place)
    return places, False


def _pair(key: str, of: UUID | None) -> bytes | None:
    if of is None:
        return None
    value = "null" if of == NOBODY else f'"{of}"'
    return f'"{key}":{value}'.encode()


@cache
def _statement(name: str, log: Log, *given: str) -> bytes:
    conditions = [sql for key, sql in _CONDITIONS.items() if key in given]
    in_stream = "stream" in given
    return named(
        "browse.sql",
        log=log,
        scope=_IN_STREAM if in_stream else "true",
        place="(notification_id + 0)" if in_stream else "notification_id",
        wanted=" AND ".join(conditions) or "true",
    )[name]
