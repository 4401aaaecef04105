"""What the application needs from the world, said in its own words."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

import msgspec

from application.ports.actor import (
    SYSTEM as SYSTEM,
    Actor as Actor,
    Cause as Cause,
)
from application.ports.blobs import Arrival as Arrival, Blobs as Blobs
from application.ports.refusals import (
    BlobsAwayError as BlobsAwayError,
    BlobsFullError as BlobsFullError,
    ConcurrencyError as ConcurrencyError,
    EventTooLargeError as EventTooLargeError,
    IdempotencyKeyReusedError as IdempotencyKeyReusedError,
    OutcomeUnknownError as OutcomeUnknownError,
    StoreBusyError as StoreBusyError,
    StreamNotFoundError as StreamNotFoundError,
)
from domain.kernel import Aggregate, ContentRef, DomainError, Event, Json, Log


class Position(msgspec.Struct, frozen=True):
    """A place in each log; zero is before everything."""

    core: int = 0
    runs: int = 0

    def upto(self, other: "Position") -> "Position":
        """Return the later of both, log by log."""
        return Position(max(self.core, other.core), max(self.runs, other.runs))


class Recorded(msgspec.Struct, frozen=True):
    """
    A stored event in its envelope.

    ``version`` counts from 1 in the stream, ``position`` grows over the whole log
    and may have holes. ``at`` is UTC.
    """

    log: Log
    stream: UUID
    version: int
    position: int
    at: datetime
    event: Event
    metadata: Mapping[str, Any]


class Claim(msgspec.Struct, frozen=True):
    """A name that only one thing may bear, such as a user name or an endpoint."""

    kind: str
    key: str
    holder: UUID


class Owned(msgspec.Struct, frozen=True):
    """Who owns a resource, and in which project it lies: what permissions read."""

    resource: UUID
    kind: Literal[
        "user",
        "project",
        "flow",
        "run",
        "thread",
        "api_key",
        "variable",
        "file",
        "mcp_server",
    ]
    owner: UUID
    project: UUID | None = None


class Content(msgspec.Struct, frozen=True):
    """
    Something people wrote or models answered, sealed and ready to be stored.

    ``sealed`` is empty when the bytes went to the blob store at ``address``.
    """

    ref: ContentRef
    subject: UUID
    sealed: bytes
    address: str | None = None


class Sealed(msgspec.Struct, frozen=True):
    """A secret, encrypted for the vault. ``subject`` is the user it belongs to."""

    id: UUID
    subject: UUID
    kind: str
    sealed: bytes


class Lease(msgspec.Struct, frozen=True):
    """A worker's hold on a run until ``expires_at`` (renewed while it works)."""

    run: UUID
    worker: str
    attempt: int
    expires_at: datetime


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """What is written in the same transaction as the events, and nothing else."""

    claims: Sequence[Claim] = ()
    released: Sequence[Claim] = ()
    owned: Sequence[Owned] = ()
    disowned: Sequence[UUID] = ()
    contents: Sequence[Content] = ()
    forgotten: Sequence[UUID] = ()
    secrets: Sequence[Sealed] = ()
    destroyed: Sequence[UUID] = ()
    leases: Sequence[Lease] = ()
    unleased: Sequence[UUID] = ()


class Saved(msgspec.Struct, frozen=True):
    """
    What a save came to.

    ``answer`` is what the command stored for its repeats; ``repeated`` tells that
    this was one, so nothing was appended now.
    """

    position: Position
    answer: bytes = b""
    repeated: bool = False


class ClaimTakenError(DomainError):
    """Another thing bears this name already."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"{claim.kind} {claim.key!r}")
        self.claim = claim


class ContentMissingError(DomainError):
    """The content has been deleted or erased."""


class EventStore(Protocol):
    """Streams of events, one per aggregate, in one global order per log."""

    async def load[A: Aggregate[Any]](
        self,
        kind: type[A],
        aggregate_id: UUID,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> A:
        """Replay a stream as of a version, a moment: or `StreamNotFoundError`."""
        ...

    async def load_each[A: Aggregate[Any]](
        self, kind: type[A], ids: Iterable[UUID]
    ) -> list[A]:
        """Replay several streams, each once: or `StreamNotFoundError` for any."""
        ...

    async def save(
        self,
        *aggregates: Aggregate[Any],
        cause: Cause,
        attached: Attached | None = None,
        answer: bytes = b"",
        anywhere: Sequence[Aggregate[Any]] = (),
    ) -> Saved:
        """
        Store what *aggregates* recorded, all or nothing, once it is durable.

        All aggregates of one save live in one log. Those in *anywhere* append after
        whatever their stream holds by then, instead of expecting a version.

        Raise `ConcurrencyError`, `ClaimTakenError`, `SubjectErasedError`,
        `IdempotencyKeyReusedError`, `EventTooLargeError` or `StoreBusyError`. After
        `OutcomeUnknownError`, and where the caller is cancelled, all of it may be
        stored or nothing: ask for the `outcome`.
        """
        ...

    async def answered(self, cause: Cause) -> Saved | None:
        """
        Return what an idempotent command came to, if it was carried out before.

        Ask before deciding: a repeat of "delete" must not be told "not found". What
        is under way in this process is waited for, what is elsewhere is not: so ask
        for the `outcome` before a repeat is refused. Raise
        `IdempotencyKeyReusedError` if its id was used for another request.
        """
        ...

    async def outcome(self, cause: Cause) -> Saved | None:
        """
        Return what a command came to, after commits under way anywhere have ended.

        ``None``: nothing of it is stored; what another process holds in its queue it
        may still store. A command that is not idempotent is known where it was saved,
        for a while after its caller was cancelled. Raise `OutcomeUnknownError` where
        it cannot be told yet, `StoreBusyError` if the log stays locked.
        """
        ...

    async def read_stream(
        self, log: Log, stream: UUID, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        """Return a stream's events after version *after*, in order."""
        ...

    async def read_log(
        self, log: Log, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        """Return a log's events after position *after*, in commit order."""
        ...

    async def head(self) -> Position:
        """Return the last position of each log."""
        ...


class Claims(Protocol):
    """Who bears a name. Names are taken and released by `EventStore.save`."""

    async def holder(self, kind: str, key: str) -> UUID | None:
        """Return what bears the name *key*, if anything does."""
        ...

    async def taken(self, kind: str, prefix: str) -> list[Claim]:
        """Return claims of *kind* by key, that begin with *prefix* (at most 10,000)."""
        ...

    async def any_of(self, kind: str, prefixes: Collection[str]) -> list[str]:
        """Return those of *prefixes* with which a claim of *kind* begins."""
        ...


class Ownership(Protocol):
    """Who owns what. Rows are written by `EventStore.save`."""

    async def of(self, resource: UUID) -> Owned | None:
        """Return the owner of *resource*, if it exists."""
        ...

    async def of_each(self, resources: Sequence[UUID]) -> list[Owned]:
        """Return the owners of those of *resources* that exist, in no order."""
        ...

    async def in_project(self, project: UUID, kind: str) -> list[UUID]:
        """Return the resources of *kind* that lie in *project*."""
        ...


class Contents(Protocol):
    """Contents by reference, sealed with their subject's key."""

    async def seal(self, subject: UUID, data: bytes) -> Content:
        """Encrypt *data* for *subject*; it is stored once a save attaches it."""
        ...

    async def open(self, ids: Sequence[UUID]) -> dict[UUID, bytes]:
        """Decrypt what *ids* name, in one read; deleted ones are left out."""
        ...

    async def blobs_of(self, ids: Sequence[UUID]) -> list[str]:
        """Return where large contents lie: to `discard` once a save forgot them."""
        ...

    async def discard(self, addresses: Sequence[str]) -> None:
        """Remove the bytes of contents that a save has forgotten."""
        ...


class Vault(Protocol):
    """Secrets: provider keys, passwords, password fields of flows."""

    async def seal(self, subject: UUID, kind: str, secret: str) -> Sealed:
        """Encrypt *secret* under a new id; it is stored once a save attaches it."""
        ...

    async def open(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        """Decrypt what *ids* name, in one read; destroyed ones are left out."""
        ...


class Freshness(Protocol):
    """Whether the read models have caught up."""

    async def reached(self, position: Position, *, within: float) -> bool:
        """Wait until every projection has passed *position*, *within* seconds."""
        ...


class Signals(Protocol):
    """
    Ephemeral words, which may be lost: tokens, wake-ups.

    A channel keeps its last words (a bounded tail) until it is forgotten, so a late
    listener hears what was said so far.
    """

    async def say(self, channel: str, word: bytes) -> None:
        """Tell everybody who listens to *channel*."""
        ...

    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Hear the tail of *channel*, then what is said, until the context ends."""
        ...

    async def forget(self, channel: str) -> None:
        """Drop the tail of *channel*."""
        ...

    async def reachable(self) -> bool:
        """Tell whether words are heard at all now."""
        ...


class Canvas(Protocol):
    """Canvas state of flows: last value wins, outside history."""

    async def of_each(self, flows: Sequence[UUID]) -> dict[UUID, dict[str, Json]]:
        """Return what was last put for each of *flows*, where anything was."""
        ...

    async def put(self, states: Mapping[UUID, dict[str, Json]]) -> None:
        """Keep a state for each flow."""
        ...

    async def drop(self, flows: Sequence[UUID]) -> None:
        """Forget the state of *flows*."""
        ...


class Leases(Protocol):
    """Which worker holds which run. Taken and released by `EventStore.save`."""

    async def renew(
        self, worker: str, runs: Sequence[UUID], *, until: datetime
    ) -> set[UUID]:
        """Extend *worker*'s leases; return those it still holds."""
        ...

    async def expired(self, *, now: datetime, limit: int = 100) -> list[Lease]:
        """Return leases that nobody renewed."""
        ...


class MessageHistory(Protocol):
    """What was said before, for components that remember."""

    async def recent(
        self,
        *,
        owner: UUID,
        session: str,
        limit: int,
        flow: UUID | None = None,
        sender: str | None = None,
        sender_name: str | None = None,
        descending: bool = False,
    ) -> list[dict[str, Json]]:
        """
        Return the last *limit* messages of *owner*'s session, ascending by time.

        Of all flows, or one. Each is in the shape of ``add_message`` data, with
        ``id``. With *descending* the order is reversed.
        """
        ...
