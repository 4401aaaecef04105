"""How archived events lie in the blob store: compressed JSON lines, and a manifest."""

import asyncio
import gzip
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

import msgspec

from application.ports.evidence import ArchiveBrokenError
from domain.catalogue import tag_of
from domain.run.events import RunCancelled, RunFailed, RunSucceeded
from domain.thread.events import MessageEdited, MessagePosted, MessageRemoved
from infrastructure.blobs.address import address_of
from infrastructure.event_store.statements import named
from infrastructure.event_store.stored_event import StoredEvent

THREADS = "runs_events_threads"
ARCHIVES = named("archives.sql", package="infrastructure.archive")

ENDS = [tag_of(kind) for kind in (RunSucceeded, RunFailed, RunCancelled)]
SAYINGS = [tag_of(kind) for kind in (MessagePosted, MessageEdited, MessageRemoved)]

_ARCHIVES_ID = UUID("6c62a5c1-1e5a-5d0b-9c3e-0a7c41d1f001")
_LEVEL = 6


class Chunk(msgspec.Struct, frozen=True):
    """A file of events, by position; the address is the SHA-256 of its bytes."""

    address: str
    events: int
    size: int
    first: int
    last: int


class Page(msgspec.Struct, frozen=True):
    """A file that lists streams, by id."""

    address: str
    streams: int
    size: int
    first: UUID
    last: UUID


class ArchivedStream(msgspec.Struct, frozen=True):
    """A run that was archived, or a thread of which something was; as it is listed."""

    stream: UUID
    events: int
    first: int
    last: int
    since: datetime
    until: datetime
    end: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive consists of. The same events always make the same manifest."""

    format: Literal[1] = 1
    partition: str
    since: datetime
    until: datetime
    streams: int
    events: int
    first: int
    last: int
    chunks: list[Chunk]
    pages: list[Page]

    @property
    def size(self) -> int:
        """How much it takes in the blob store."""
        chunks = sum(chunk.size for chunk in self.chunks)
        return chunks + sum(page.size for page in self.pages)


class Archive(msgspec.Struct, frozen=True):
    """A row of ``es.archives``."""

    id: UUID
    partition: str
    since: datetime
    until: datetime
    runs: int
    events: int
    first_position: int
    last_position: int
    address: str
    digest: str
    bytes: int
    archived_at: datetime


def archive_id(address: str) -> UUID:
    """Return the id of the archive whose manifest lies at *address*."""
    return uuid5(_ARCHIVES_ID, address)


def on(statement: str, source: str) -> bytes:
    """Return a statement about one partition, whose name was read from the database."""
    return ARCHIVES[statement].replace(b"$source", source.encode())


def stored_event(row: tuple[Any, ...]) -> StoredEvent:
    """Return a row of ``events`` or ``aged`` as the event it is."""
    *values, recorded_at = row
    names = StoredEvent.__struct_fields__
    at = int.from_bytes(recorded_at, signed=True)
    return StoredEvent(**dict(zip(names, (*values, at), strict=True)))


async def packed(lines: Iterable[msgspec.Struct]) -> bytes:
    """Return *lines* as compressed JSON, always the same for the same."""
    return await asyncio.to_thread(_packed, list(lines))


async def unpacked[S: msgspec.Struct](data: bytes, kind: type[S]) -> list[S]:
    """Read compressed JSON lines, or raise `ArchiveBrokenError`."""
    return await asyncio.to_thread(lambda: list(_unpacked(data, kind)))


def intact(address: str, data: bytes) -> bool:
    """Tell whether a file is what was written."""
    return address_of(data) == address


def _packed(lines: list[msgspec.Struct]) -> bytes:
    encoder = msgspec.json.Encoder()
    text = b"".join(encoder.encode(line) + b"\n" for line in lines)
    return gzip.compress(text, _LEVEL, mtime=0)


def _unpacked[S: msgspec.Struct](data: bytes, kind: type[S]) -> Iterator[S]:
    decoder = msgspec.json.Decoder(kind)
    try:
        for line in gzip.decompress(data).splitlines():
            yield decoder.decode(line)
    except (OSError, EOFError, zlib.error, ValueError, msgspec.MsgspecError) as error:
        raise ArchiveBrokenError(str(error)) from error
