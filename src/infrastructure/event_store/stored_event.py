"""An event as the bytes that are stored, for who copies or proves it unread."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event exactly as it is stored.

    ``recorded_at`` counts microseconds since 2000, as PostgreSQL does.
    """

    position: int
    stream: UUID
    version: int
    tag: str
    schema_version: int
    state: bytes
    metadata: bytes
    subject: UUID | None
    tenant: UUID | None
    recorded_at: int


def moment(recorded_at: int) -> datetime:
    """Return when an event was recorded."""
    return _EPOCH + timedelta(microseconds=recorded_at)


def microseconds(at: datetime) -> int:
    """Return how PostgreSQL counts the moment *at*."""
    return (at - _EPOCH) // timedelta(microseconds=1)
