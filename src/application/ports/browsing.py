"""Looking for events in a log that may be long, a bounded piece of it at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from application.ports import Recorded
from domain.kernel import Log


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which events somebody looks for; what is not given does not matter.

    A ``tag`` that ends with a full stop means all that begin so. ``actor`` is a
    user's id, or zeros for the system. ``since`` is included, ``until`` is not.
    """

    stream: UUID | None = None
    tag: str | None = None
    actor: UUID | None = None
    correlation: UUID | None = None
    command: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class Found(msgspec.Struct, frozen=True):
    """
    What was found in a piece of a log, in order.

    All up to the position ``reached`` was looked at (or down to it, when looking
    back); ``more`` tells that there is more to look at beyond.
    """

    events: Sequence[Recorded]
    reached: int
    more: bool


class Browser(Protocol):
    """Finds events, with an effort that does not grow with the log."""

    async def forwards(
        self, log: Log, wanted: Wanted, *, after: int, upto: int | None, limit: int
    ) -> Found:
        """Look on from position *after*, not beyond *upto*."""
        ...

    async def backwards(
        self, log: Log, wanted: Wanted, *, before: int | None, limit: int
    ) -> Found:
        """Look back from position *before* (or the head), the last ones first."""
        ...

    async def span(self, log: Log, wanted: Wanted) -> tuple[int, int]:
        """Return the positions between which the wanted moments lie."""
        ...

    async def streams_like(self, first: UUID, last: UUID, *, limit: int) -> list[UUID]:
        """Return the first streams of either log with ids from *first* to *last*."""
        ...
