"""Puts events and their list into the blob store, and reads all of it back."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from application.ports import Blobs
from application.ports.evidence import ArchiveBrokenError
from infrastructure.archive.archives import (
    ArchivedStream,
    Chunk,
    Manifest,
    Page,
    intact,
    packed,
)
from infrastructure.event_store.stored_event import StoredEvent

MOST_EVENTS = 5000
MOST_BYTES = 8 * 1024 * 1024
"""What a file holds at most before it is compressed, or else one event."""


async def write(
    blobs: Blobs,
    partition: str,
    events: AsyncIterator[list[StoredEvent]],
    streams: AsyncIterator[list[ArchivedStream]],
    *,
    since: datetime,
    until: datetime,
) -> tuple[Manifest, str]:
    """Write an archive; return its manifest, and the address of that."""
    chunks = [
        Chunk(address, len(part), size, part[0].position, part[-1].position)
        async for part in _parts(events)
        for address, size in [await _kept(blobs, await packed(part))]
    ]
    pages = [
        Page(address, len(part), size, part[0].stream, part[-1].stream)
        async for part in streams
        for address, size in [await _kept(blobs, await packed(part))]
    ]
    manifest = Manifest(
        partition=partition,
        since=since,
        until=until,
        streams=sum(page.streams for page in pages),
        events=sum(chunk.events for chunk in chunks),
        first=chunks[0].first,
        last=chunks[-1].last,
        chunks=chunks,
        pages=pages,
    )
    address, _ = await _kept(blobs, msgspec.json.encode(manifest))
    return manifest, address


async def _parts(
    pages: AsyncIterator[Sequence[StoredEvent]],
) -> AsyncIterator[list[StoredEvent]]:
    part: list[StoredEvent] = []
    size = 0
    async for page in pages:
        for event in page:
            weight = len(event.state) + len(event.metadata)
            if part and (len(part) >= MOST_EVENTS or size + weight > MOST_BYTES):
                yield part
                part, size = [], 0
            part.append(event)
            size += weight
    if part:
        yield part


async def _kept(blobs: Blobs, data: bytes) -> tuple[str, int]:
    """Store *data*, and see with our own eyes that it is there."""
    address = await blobs.put(data)
    if not intact(address, await blobs.get(address)):
        raise ArchiveBrokenError(f"{address} is not what was written")
    return address, len(data)
