"""Sealed stretches of a log: what they hold of each event, and how they are chained."""

import struct
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from domain.kernel import Log
from infrastructure.event_store.statements import named
from infrastructure.event_store.stored_event import StoredEvent

SEALER_LOCK = 0x6C62_7365
"""The advisory lock of the one server that seals."""
ARCHIVER_LOCK = 0x6C62_6172
"""Held by who moves events to archives, and shared by who verifies meanwhile."""
BEGINNING = 0
"""The position before every event."""
NO_CHAIN = bytes(32)
"""What the first segment follows."""

_ENTRY = struct.Struct("!q16sq16s")
_DIGEST_BYTES = 16
ENTRY_BYTES = _ENTRY.size
_FACTS = struct.Struct("!qqqqq")
_PLACE = struct.Struct("!16sqh")


def _sql(**words: str) -> dict[str, bytes]:
    return named("segments.sql", package="infrastructure.evidence", **words)


_entry_sql = _sql()["entry"].decode()
SEGMENTS: dict[Log, dict[str, bytes]] = {
    "core": _sql(log="core", entry=_entry_sql),
    "runs": _sql(log="runs", entry=_entry_sql),
}

type Sign = Callable[[bytes], bytes]
"""Signs bytes with a key that only the installation has."""


class Entry(NamedTuple):
    """What a segment holds of one event."""

    position: int
    stream: UUID
    version: int
    digest: bytes


class Facts(NamedTuple):
    """What of a segment goes into its chain, beside its entries."""

    number: int
    first_position: int
    last_position: int
    events: int
    sealed_at: int


def entry_of(event: StoredEvent) -> Entry:
    """Return what a segment holds of *event*; segments.sql makes the same bytes."""
    tag = event.tag.encode()
    digest = sha256(
        _PLACE.pack(event.stream.bytes, event.version, event.schema_version)
    )
    digest.update(event.recorded_at.to_bytes(8, signed=True))
    for whose in (event.subject, event.tenant):
        digest.update((whose.bytes if whose else b"") + b"|")
    for part in (tag, event.state, event.metadata):
        digest.update(len(part).to_bytes(4))
        digest.update(part)
    return Entry(
        event.position, event.stream, event.version, digest.digest()[:_DIGEST_BYTES]
    )


def entries_in(packed: bytes) -> Iterator[Entry]:
    """Read the entries of a segment."""
    for position, stream, version, digest in _ENTRY.iter_unpack(packed):
        yield Entry(position, UUID(bytes=stream), version, digest)


def chained(log: Log, before: bytes, facts: Facts, entries: bytes) -> bytes:
    """Return the link of a segment: it stands for all history up to its end."""
    link = sha256(b"segment/1/" + log.encode() + b"/" + before)
    link.update(_FACTS.pack(*facts))
    link.update(sha256(entries).digest())
    return link.digest()


def signed(sign: Sign, log: Log, number: int, chain: bytes) -> bytes:
    """Return the signature of a segment's link."""
    return sign(f"segment/1/{log}/{number}/".encode() + chain)
