"""What verifying asks of archives: what they hold, and whether they are whole."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, override

import msgspec
from psycopg import AsyncConnection

from application.ports import Blobs, ContentMissingError
from application.ports.evidence import ArchiveBrokenError, Finding
from domain.catalogue import tag_of
from domain.kernel import Log
from domain.operation.events import RunsArchived
from infrastructure.archive.archives import (
    ARCHIVES,
    Archive,
    Chunk,
    Manifest,
    archive_id,
    intact,
    unpacked,
)
from infrastructure.archive.shelf import Shelf
from infrastructure.event_store.stored_event import StoredEvent
from infrastructure.evidence.segments import Entry, Sign, entry_of
from infrastructure.evidence.verification import ArchivedEntries

_CHUNKS = 8
"""How many files are remembered; archives overlap, for runs outlast their month."""


class PostgresArchivedEntries(ArchivedEntries):
    """
    Entries of archived events, made of the events as they lie in their files.

    A file that was edited is read as far as it can be, so that the event is named.
    """

    def __init__(
        self, connection: AsyncConnection[Any], blobs: Blobs, sign: Sign
    ) -> None:
        self._connection = connection
        self._blobs = blobs
        self._sign = sign
        self._shelf = Shelf(blobs)
        self._chunks: list[Chunk] = []
        self._open: list[Chunk] = []
        self._unreadable: list[tuple[int, int]] = []
        self._read: OrderedDict[str, list[Entry]] = OrderedDict()
        self._findings: list[Finding] = []

    @override
    async def begin(self) -> Sequence[Finding]:
        archives = await self._shelf.every(self._connection)
        await self._compare_records({one.id: one for one in archives})
        for archive in archives:
            manifest = await self._checked(archive)
            self._chunks += manifest.chunks if manifest else []
        self._chunks.sort(key=lambda chunk: chunk.first, reverse=True)
        return self._told()

    @override
    async def between(self, log: Log, after: int, upto: int) -> Sequence[Entry]:
        if log != "runs":
            return ()
        # Segments come in order, so what was passed is never asked for again.
        while self._chunks and self._chunks[-1].first <= upto:
            self._open.append(self._chunks.pop())
        self._open = [chunk for chunk in self._open if chunk.last > after]
        found: list[Entry] = []
        for chunk in self._open:
            entries = await self._entries(chunk)
            found += [e for e in entries if after < e.position <= upto]
        return found

    @override
    def unreadable(self, log: Log, position: int) -> bool:
        return log == "runs" and any(
            first <= position <= last for first, last in self._unreadable
        )

    @override
    async def end(self) -> Sequence[Finding]:
        return self._told()

    async def _compare_records(self, archives: dict[Any, Archive]) -> None:
        """Every archive on record must be there; it was made before its record."""
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(ARCHIVES["records"], {"tag": tag_of(RunsArchived)})
        for stream, _, state in await cursor.fetchall():
            record = msgspec.json.decode(state, type=RunsArchived)
            archive = archives.get(stream)
            if archive is None:
                says = f"the archive {stream} of {record.partition} is missing"
                self._broken(record.first, record.last, says)
            elif (archive.address, archive.digest) != (record.address, record.digest):
                says = f"the archive {stream} is not the one on record"
                self._broken(record.first, record.last, says)

    async def _checked(self, archive: Archive) -> Manifest | None:
        named = f"the archive {archive.id} of {archive.partition}"
        try:
            data = await self._blobs.get(archive.address)
            manifest = msgspec.json.decode(data, type=Manifest)
        except (ContentMissingError, msgspec.MsgspecError, UnicodeDecodeError):
            says = f"{named} has no manifest that can be read, {archive.address}"
            self._broken(archive.first_position, archive.last_position, says)
            return None
        digest = self._sign(data).hex()
        if (archive_id(archive.address), digest) != (archive.id, archive.digest):
            self._broken(manifest.first, 0, f"{named} has another manifest than it had")
        for page in manifest.pages:
            if not await self._whole(page.address):
                says = f"{named} has a broken list of its runs, {page.address}"
                self._broken(manifest.first, 0, says)
        return manifest

    async def _whole(self, address: str) -> bool:
        try:
            return intact(address, await self._blobs.get(address))
        except ContentMissingError:
            return False

    async def _entries(self, chunk: Chunk) -> list[Entry]:
        if (known := self._read.get(chunk.address)) is not None:
            return known
        entries: list[Entry] = []
        file = f"the archive's file {chunk.address}"
        try:
            data = await self._blobs.get(chunk.address)
            entries = [entry_of(event) for event in await unpacked(data, StoredEvent)]
            if not intact(chunk.address, data):
                last = 0 if entries else chunk.last
                self._broken(chunk.first, last, f"{file} is not what was written")
        except ContentMissingError:
            self._broken(chunk.first, chunk.last, f"{file} is missing")
        except ArchiveBrokenError:
            self._broken(chunk.first, chunk.last, f"{file} cannot be read")
        self._read[chunk.address] = entries
        if len(self._read) > _CHUNKS:
            self._read.popitem(last=False)
        return entries

    def _broken(self, first: int, last: int, says: str) -> None:
        """Keep a finding; what lies from *first* to *last* cannot be looked at."""
        if last:
            self._unreadable.append((first, last))
        finding = Finding(kind="archive", log="runs", position=first, says=says)
        if finding not in self._findings:
            self._findings.append(finding)

    def _told(self) -> Sequence[Finding]:
        told, self._findings = self._findings, []
        return told
