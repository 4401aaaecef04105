"""A save on its way to the log: encoded and weighed, not yet admitted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from application.ports import Attached, Cause, Position
from application.ports.refusals import CommandTooLargeError
from domain.kernel import Aggregate, Log
from infrastructure.event_store.fitness import refuse_unwritable
from infrastructure.event_store.sealing import Keys, SealingMapper, Stored

NOBODY = UUID(int=0)
"""Stands for the system where a column must not be empty."""
NOTHING_ATTACHED = Attached()
MAX_COMMAND_EVENTS = 50_000
MAX_COMMAND_BYTES = 32 * 1024 * 1024
"""Others wait while one command is written: so much takes less than a second."""
ROW_BYTES = 200
"""What a row weighs beside its state and metadata, roughly."""


_METADATA = msgspec.json.Decoder(dict[str, Any])

# UUIDs take long to hash, their numbers do not.
type Key = tuple[int, int]
"""A command's id, and whose it is: two people may choose the same one."""


class MixedLogsError(Exception):
    """One save goes to one log, and each stream comes but once in it."""


class Part(msgspec.Struct, frozen=True):
    """One stream's events; ``expected`` is ``None`` where they append anywhere."""

    stream: UUID
    expected: int | None
    events: tuple[Stored, ...]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """All that one save writes, and nothing that it would take to write it."""

    log: Log
    parts: tuple[Part, ...]
    cause: Cause
    metadata: bytes
    attached: Attached
    answer: bytes
    size: int

    @property
    def actor(self) -> UUID:
        """Whose command ids these are: two people may choose the same one."""
        return self.cause.actor.user or NOBODY

    def subjects(self) -> set[UUID]:
        """Name everybody with whose key something in it is sealed."""
        attached = self.attached
        every = {event.subject for part in self.parts for event in part.events}
        if attached is not NOTHING_ATTACHED:
            every.update(content.subject for content in attached.contents)
            every.update(secret.subject for secret in attached.secrets)
        return {subject for subject in every if subject is not None}

    @property
    def key(self) -> Key:
        """By what its caller can ask about it."""
        return key_of(self.cause)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write at all."""
        return not (
            self.parts or self.cause.idempotent or self.attached != NOTHING_ATTACHED
        )

    def touched(self) -> Iterator[object]:
        """Name all that it reads or writes: disjoint commands can share a batch."""
        for part in self.parts:
            yield part.stream.int
        if self.cause.idempotent:
            yield self.key
        attached = self.attached
        if attached is NOTHING_ATTACHED:
            return
        for claims in (attached.claims, attached.released):
            yield from ((claim.kind, claim.key) for claim in claims)
        yield from (("owned", owned.resource) for owned in attached.owned)
        yield from (("owned", resource) for resource in attached.disowned)
        yield from (content.ref.id for content in attached.contents)
        yield from attached.forgotten
        yield from (sealed.id for sealed in attached.secrets)
        yield from attached.destroyed
        yield from (("lease", lease.run) for lease in attached.leases)
        yield from (("lease", run) for run in attached.unleased)


def compose(
    mapper: SealingMapper,
    *,
    keys: Keys,
    expecting: Sequence[Aggregate[Any]],
    anywhere: Sequence[Aggregate[Any]],
    cause: Cause,
    attached: Attached | None,
    answer: bytes,
) -> Command:
    """Encode what the aggregates recorded; what cannot be stored fails here."""
    every = (*expecting, *anywhere)
    logs = {aggregate.log for aggregate in every} or {"core"}
    if len(logs) > 1 or len({aggregate.id.int for aggregate in every}) < len(every):
        raise MixedLogsError([type(aggregate).__name__ for aggregate in every])
    versions = [one.stored_version for one in expecting] + [None] * len(anywhere)
    parts = tuple(
        Part(one.id, expected, mapper.encoded(one, keys))
        for one, expected in zip(every, versions, strict=True)
        if one.recorded
    )
    attached = attached or NOTHING_ATTACHED
    if attached is not NOTHING_ATTACHED:
        _refuse_unwritable(attached)
    metadata = metadata_of(cause)
    command = Command(
        log=logs.pop(),
        parts=parts,
        cause=cause,
        metadata=metadata,
        attached=attached,
        answer=answer,
        size=_size(parts, metadata, attached) + len(answer),
    )
    _refuse_too_large(command)
    return command


def settle(command: Command, aggregates: Sequence[Aggregate[Any]]) -> None:
    """Tell *aggregates* which of their events are stored now."""
    stored = {part.stream.int: len(part.events) for part in command.parts}
    for aggregate in aggregates:
        aggregate.settle(stored.get(aggregate.id.int, 0))


def key_of(cause: Cause) -> Key:
    """Return by what one asks for the outcome of a command."""
    return (cause.command_id.int, (cause.actor.user or NOBODY).int)


def metadata_of(cause: Cause) -> bytes:
    """Return what is kept with each event about why it was appended."""
    actor = cause.actor
    told: dict[str, Any] = {
        "actor": actor.user,
        "command_id": cause.command_id,
        "correlation_id": cause.correlation_id,
    }
    if actor.credential:
        told["credential"] = actor.credential
    if cause.causation_id is not None:
        told["causation_id"] = cause.causation_id
    if cause.trace:
        told["trace"] = cause.trace
    return msgspec.json.encode(told)


def read_metadata(metadata: bytes) -> Mapping[str, Any]:
    """
    Return *metadata* as its reader sees it: a mapping of plain JSON values.

    Where it was damaged, all it says is why it is ``unreadable``: no reader of the
    log may fall over that.
    """
    try:
        return _METADATA.decode(metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return {"unreadable": str(error)}


def position_in(log: Log, position: int) -> Position:
    """Return *position* of *log* as a place in both."""
    return Position(core=position) if log == "core" else Position(runs=position)


def _refuse_unwritable(attached: Attached) -> None:
    refuse_unwritable(
        *(claim.key for claim in attached.claims),
        *(claim.key for claim in attached.released),
        *(content.address for content in attached.contents if content.address),
        *(lease.worker for lease in attached.leases),
    )


def _refuse_too_large(command: Command) -> None:
    events = 0
    for part in command.parts:
        events += len(part.events)
    if events > MAX_COMMAND_EVENTS:
        raise CommandTooLargeError(f"{events:,} events of {MAX_COMMAND_EVENTS:,}")
    if command.size > MAX_COMMAND_BYTES:
        raise CommandTooLargeError(f"{command.size:,} bytes of {MAX_COMMAND_BYTES:,}")


def _size(parts: tuple[Part, ...], metadata: bytes, attached: Attached) -> int:
    each = ROW_BYTES + len(metadata)
    events = 0
    for part in parts:
        for event in part.events:
            events += len(event.state) + each
    if attached is NOTHING_ATTACHED:
        return events
    contents = sum(len(content.sealed) + ROW_BYTES for content in attached.contents)
    secrets = sum(len(secret.sealed) + ROW_BYTES for secret in attached.secrets)
    return events + contents + secrets
