"""Compares the logs, and their archives, with what was sealed of them."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, override

from psycopg import AsyncConnection

from application.ports.evidence import (
    Evidence,
    Finding,
    Head,
    Kind,
    LogEvidence,
    LogHead,
    Progress,
)
from domain.kernel import Log
from infrastructure.evidence.comparison import MOST, Comparison
from infrastructure.evidence.segments import (
    ARCHIVER_LOCK,
    BEGINNING,
    ENTRY_BYTES,
    NO_CHAIN,
    SEGMENTS,
    Entry,
    Facts,
    Sign,
    chained,
    entries_in,
    signed,
)
from infrastructure.postgres import connection_string

PAGE = 16
"""How many segments are looked at in one statement."""


class ArchivedEntries(Protocol):
    """What archives hold of a log."""

    async def between(self, log: Log, after: int, upto: int) -> Sequence[Entry]:
        """
        Return the entries after position *after*, up to and with *upto*.

        They are asked for in the order of the log.
        """
        ...

    async def begin(self) -> Sequence[Finding]:
        """Look which archives there are; return what is wrong with them as such."""
        ...

    async def end(self) -> Sequence[Finding]:
        """Return what was wrong with what `between` looked at."""
        ...

    def unreadable(self, log: Log, position: int) -> bool:
        """Tell whether an event may lie in a file that cannot be read."""
        ...


type OpenArchives = Callable[[AsyncConnection[Any]], ArchivedEntries]


class PostgresEvidence(Evidence):
    """Evidence from ``es.segments``, read on a connection of its own."""

    def __init__(self, dsn: str, sign: Sign, archives: OpenArchives) -> None:
        self._dsn = connection_string(dsn)
        self._sign = sign
        self._archives = archives

    @override
    async def verify(
        self, *, head: Head | None = None, progress: Progress | None = None
    ) -> list[LogEvidence]:
        async with self._connected() as connection:
            archives = self._archives(connection)
            told = _Told(progress, await _sealed(connection))
            found = await archives.begin()
            reports = []
            for log in SEGMENTS:
                one = _Log(connection, log, self._sign, archives)
                for finding in found:
                    if finding.log == log:
                        one.comparison.add(finding)
                if head is not None:
                    await one.compare(getattr(head, log), at=head.at)
                reports.append(await one.verify(told))
            return reports

    @override
    async def head(self) -> Head:
        async with self._connected() as connection:
            heads = [await _newest(connection, log) for log in SEGMENTS]
        return Head(at=datetime.now(UTC), core=heads[0], runs=heads[1])

    @override
    async def waiting_since(self) -> datetime | None:
        since: list[datetime] = []
        async with self._connected() as connection:
            for statements in SEGMENTS.values():
                cursor = await connection.execute(statements["waiting"])
                since += [at for (at,) in await cursor.fetchall()]
        return min(since, default=None)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection[Any]]:
        async with await AsyncConnection.connect(
            self._dsn, autocommit=True
        ) as connection:
            for_ever = {"statement_timeout": "0"}
            await connection.execute(SEGMENTS["core"]["session"], for_ever)
            # Nothing may leave for an archive between two looks.
            await connection.execute(SEGMENTS["core"]["look"], {"key": ARCHIVER_LOCK})
            yield connection


class _Log:
    """One log under verification."""

    def __init__(
        self,
        connection: AsyncConnection[Any],
        log: Log,
        sign: Sign,
        archives: ArchivedEntries,
    ) -> None:
        self._log = log
        self._cursor = connection.cursor(binary=True)
        self._sign = sign
        self._archives = archives
        self._number, self._last, self._chain = 0, BEGINNING, NO_CHAIN
        self._segments = self._events = self._archived = 0
        self._first, self._sound = BEGINNING, True
        self.comparison = Comparison(log, self._whereabouts)

    async def verify(self, told: "_Told") -> LogEvidence:
        for position, stream, version in await self._ask("strays", limit=MOST):
            stray = Entry(position, stream, version, b"")
            self.comparison.unsealed(stray, segment=None)
        while page := await self._ask(
            "page", after=self._number, since=self._last, limit=PAGE
        ):
            for *columns, now in page:
                row = _Row(*columns)
                await self._segment(row, now)
                told.more(row.size)
        for finding in await self._archives.end():
            self.comparison.add(finding)
        [[unsealed]] = await self._ask("tail", after=self._last)
        findings, found = self.comparison.result()
        return LogEvidence(
            log=self._log,
            segments=self._segments,
            events=self._events,
            archived=self._archived,
            sealed_upto=self._last,
            unsealed=unsealed,
            found=found,
            findings=findings,
        )

    async def compare(self, head: LogHead, *, at: datetime) -> None:
        """Look for the last segment of a kept *head* in the history of today."""
        if not head.number:
            return
        chain = _bytes(head.chain)
        rows = await self._ask("numbered", number=head.number)
        kept = f"the head of {at:%Y-%m-%d %H:%M:%S} UTC"
        kind: Kind
        if _bytes(head.signature) != signed(self._sign, self._log, head.number, chain):
            kind, says = "head", f"{kept} is not one that this installation exported"
        elif not rows:
            kind, says = "truncated", f"{kept} knows segment {head.number}, now gone"
        elif rows[0][0] != chain:
            kind, says = "rewritten", f"{kept} knows another segment {head.number}"
        else:
            return
        self.comparison.add(
            Finding(
                kind=kind,
                log=self._log,
                position=head.last_position,
                segment=head.number,
                says=says,
            )
        )

    async def _segment(self, row: "_Row", now: bytes | None) -> None:
        whole = self._check(row)
        if now is not None and whole:
            await self._compare(row, now)
        self._number, self._last, self._chain = row.number, row.last, row.chain
        self._segments += 1
        self._events += row.size

    def _check(self, row: "_Row") -> bool:
        """Check the segment itself; tell whether its entries can be read at all."""
        whole = len(row.entries) == row.size * ENTRY_BYTES
        follows = row.number == self._number + 1
        if not follows:
            missing = f"{self._number + 1} to {row.number - 1}"
            self._wrong("segment", row, f"segments {missing} are missing before it")
        unbroken = row.chain == chained(self._log, self._chain, row.facts, row.entries)
        if not whole or (follows and not unbroken):
            self._wrong("chain", row, "the segment is not as it was made")
        if row.signature != signed(self._sign, self._log, row.number, row.chain):
            self._wrong("signature", row, "this installation did not sign the segment")
        # What lies before the segment is not its own where the one before is not right.
        self._first = BEGINNING if self._sound and follows else row.first
        self._sound = whole and (unbroken or not follows)
        return whole

    async def _compare(self, row: "_Row", now: bytes) -> None:
        after = max(self._last, self._first - 1)
        archived = await self._archives.between(self._log, after, row.last)
        self._archived += len(archived)
        found = sorted([*entries_in(now), *archived])
        sealed = list(entries_in(row.entries))
        own = [entry for entry in found if entry.position >= self._first]
        await self.comparison.compare(row.number, sealed, own)

    async def _whereabouts(self, entry: Entry) -> int | None:
        rows = await self._ask(
            "whereabouts", stream=entry.stream, version=entry.version
        )
        if not rows and self._archives.unreadable(self._log, entry.position):
            return entry.position  # for all we know; that the file is broken is told
        return rows[0][0] if rows else None

    async def _ask(self, statement: str, **parameters: object) -> list[Any]:
        await self._cursor.execute(SEGMENTS[self._log][statement], parameters)
        return await self._cursor.fetchall()

    def _wrong(self, kind: Kind, row: "_Row", says: str) -> None:
        self.comparison.add(
            Finding(
                kind=kind,
                log=self._log,
                position=row.first,
                segment=row.number,
                says=f"segment {row.number}: {says}",
            )
        )


class _Row(NamedTuple):
    """A segment as it is stored."""

    number: int
    first: int
    last: int
    size: int
    entries: bytes
    chain: bytes
    signature: bytes
    sealed_at: bytes

    @property
    def facts(self) -> Facts:
        at = int.from_bytes(self.sealed_at, signed=True)
        return Facts(self.number, self.first, self.last, self.size, at)


class _Told:
    """Tells how far both logs are."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._done, self._total = 0, total

    def more(self, events: int) -> None:
        self._done += events
        if self._progress is not None:
            self._progress(self._done, self._total)


async def _sealed(connection: AsyncConnection[Any]) -> int:
    total = 0
    for statements in SEGMENTS.values():
        cursor = await connection.execute(statements["sealed"])
        [events] = await cursor.fetchone() or (0,)
        total += events
    return total


async def _newest(connection: AsyncConnection[Any], log: Log) -> LogHead:
    cursor = await connection.execute(SEGMENTS[log]["newest"])
    row = await cursor.fetchone()
    if row is None:
        return LogHead()
    number, last, chain, signature, sealed_at = row
    return LogHead(
        number=number,
        last_position=last,
        chain=chain.hex(),
        signature=signature.hex(),
        sealed_at=sealed_at,
    )


def _bytes(text: str) -> bytes:
    """Return what *text* is the hex of; of anything else, bytes that match nothing."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text.encode("utf-8", "surrogatepass")
