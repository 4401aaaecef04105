"""What can be said of a history that was sealed: whether it is still what it was."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

import msgspec

from domain.kernel import DomainError, Log

Kind = Literal[
    "changed",
    "removed",
    "added",
    "moved",
    "segment",
    "chain",
    "signature",
    "archive",
    "truncated",
    "rewritten",
    "head",
]


class ArchiveBrokenError(DomainError):
    """A file of an archive is missing, or is not what was written."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """
    Something that is not as it was sealed.

    ``position``, ``stream`` and ``version`` are those under which an event was
    sealed, or, of one that was added, those it has.
    """

    kind: Kind
    log: Log
    position: int
    says: str
    segment: int | None = None
    stream: UUID | None = None
    version: int | None = None


class LogEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a verification of one log came to, the first finding first.

    ``archived`` of the ``events`` lie in archives; ``unsealed`` came after the last
    segment. ``findings`` are the first hundred of ``found``.
    """

    log: Log
    segments: int
    events: int
    archived: int
    sealed_upto: int
    unsealed: int
    found: int
    findings: list[Finding]


class LogHead(msgspec.Struct, frozen=True, kw_only=True):
    """The last segment of a log; number 0 stands for none."""

    number: int = 0
    last_position: int = 0
    chain: str = ""
    signature: str = ""
    sealed_at: datetime | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far history was sealed at a moment: to be kept where nobody can reach it."""

    format: Literal[1] = 1
    at: datetime
    core: LogHead
    runs: LogHead


type Progress = Callable[[int, int], None]
"""Hears how many events are done, and of how many."""


class Evidence(Protocol):
    """Whether the logs are what was sealed."""

    async def verify(
        self, *, head: Head | None = None, progress: Progress | None = None
    ) -> list[LogEvidence]:
        """Look at every sealed event again, in archives too, and at a kept *head*."""
        ...

    async def head(self) -> Head:
        """Return how far the logs are sealed now."""
        ...

    async def waiting_since(self) -> datetime | None:
        """Return since when the oldest event that is not sealed waits for that."""
        ...
