"""Archives as they are read: listed, searched for a stream, merged with the log."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from application.ports import Blobs, ContentMissingError
from application.ports.evidence import ArchiveBrokenError
from infrastructure.archive.archives import (
    ARCHIVES,
    THREADS,
    Archive,
    ArchivedStream,
    Chunk,
    Manifest,
    intact,
    unpacked,
)
from infrastructure.event_store.stored_event import StoredEvent

_REMEMBERED = 64
_CHUNKS = 4


class Shelf:
    """
    The archives of one installation.

    Files are checked as they are read: a broken one raises `ArchiveBrokenError`.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._manifests: OrderedDict[str, Manifest] = OrderedDict()
        self._chunks: OrderedDict[str, list[StoredEvent]] = OrderedDict()

    async def every(self, connection: AsyncConnection[Any]) -> list[Archive]:
        """Return all archives, the oldest first."""
        cursor = await connection.execute(ARCHIVES["every"])
        return [Archive(*row) for row in await cursor.fetchall()]

    async def manifest(self, archive: Archive) -> Manifest:
        """Return what *archive* consists of."""
        manifest = self._manifests.get(archive.address)
        if manifest is None:
            data = await self._file(archive.address)
            try:
                manifest = msgspec.json.decode(data, type=Manifest)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise ArchiveBrokenError(f"the manifest {archive.address}") from error
            self._manifests[archive.address] = manifest
            if len(self._manifests) > _REMEMBERED:
                self._manifests.popitem(last=False)
        return manifest

    async def events(self, chunk: Chunk) -> list[StoredEvent]:
        """Return the events of a file, by position."""
        return await unpacked(await self._file(chunk.address), StoredEvent)

    async def streams(
        self, archive: Archive, *, after: UUID | None = None, limit: int = 50
    ) -> list[ArchivedStream]:
        """Return streams of an archive by id, after *after*."""
        found: list[ArchivedStream] = []
        for page in (await self.manifest(archive)).pages:
            if after is not None and page.last <= after:
                continue
            listed = await unpacked(await self._file(page.address), ArchivedStream)
            found += [one for one in listed if after is None or one.stream > after]
            if len(found) >= limit:
                break
        return found[:limit]

    async def stream(
        self, archives: Sequence[Archive], stream: UUID
    ) -> AsyncIterator[list[StoredEvent]]:
        """Yield what archives hold of *stream*, in order."""
        for archive in archives:
            listed = await self._listed(archive, stream)
            if listed is None:
                continue
            for chunk in (await self.manifest(archive)).chunks:
                if chunk.last >= listed.first and chunk.first <= listed.last:
                    events = await self.events(chunk)
                    yield [event for event in events if event.stream == stream]

    async def after(
        self, archives: Sequence[Archive], position: int, *, limit: int
    ) -> list[StoredEvent]:
        """Return the first archived events after *position*, whatever the archive."""
        found: list[StoredEvent] = []
        for archive in sorted(archives, key=lambda one: one.first_position):
            if archive.last_position <= position or _beyond(
                found, archive.first_position, limit=limit
            ):
                continue
            for chunk in (await self.manifest(archive)).chunks:
                if _beyond(found, chunk.first, limit=limit):
                    break
                if chunk.last > position:
                    events = await self._remembered(chunk)
                    found += [one for one in events if one.position > position]
                    found.sort(key=lambda one: one.position)
                    del found[limit:]
        return found

    async def _remembered(self, chunk: Chunk) -> list[StoredEvent]:
        """Return the events of a file that the next page may begin in, too."""
        events = self._chunks.get(chunk.address)
        if events is None:
            events = self._chunks[chunk.address] = await self.events(chunk)
            if len(self._chunks) > _CHUNKS:
                self._chunks.popitem(last=False)
        return events

    async def _listed(self, archive: Archive, stream: UUID) -> ArchivedStream | None:
        if not _may_hold(archive, stream):
            return None
        pages = (await self.manifest(archive)).pages
        nth = bisect_left(pages, stream, key=lambda page: page.last)
        if nth == len(pages) or pages[nth].first > stream:
            return None
        listed = await unpacked(await self._file(pages[nth].address), ArchivedStream)
        return next((one for one in listed if one.stream == stream), None)

    async def _file(self, address: str) -> bytes:
        try:
            data = await self._blobs.get(address)
        except ContentMissingError as error:
            raise ArchiveBrokenError(f"{address} is not in the blob store") from error
        if not intact(address, data):
            raise ArchiveBrokenError(f"{address} is not what was written")
        return data


def _beyond(found: Sequence[StoredEvent], first: int, *, limit: int) -> bool:
    """Tell whether nothing from position *first* on is among the first *limit*."""
    return len(found) >= limit and found[limit - 1].position < first


def _may_hold(archive: Archive, stream: UUID) -> bool:
    """Tell by its id whether *stream* can lie in *archive*: a run's id is its time."""
    if archive.partition == THREADS:
        return stream.int >> 120 == 0xFF  # noqa: PLR2004 - as threads' ids begin
    moment = (stream.int >> 80) / 1000
    return archive.since.timestamp() <= moment < archive.until.timestamp()
