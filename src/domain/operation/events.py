"""What operators, or the schedule on their behalf, have done to the installation."""

from datetime import datetime
from uuid import UUID

from domain.kernel import Event, Log


class RunsArchived(Event, frozen=True, kw_only=True, tag="operation.runs_archived"):
    """
    Finished runs moved from a partition of the runs log to the blob store.

    ``first`` and ``last`` are the lowest and the highest position among the events;
    ``address`` and ``digest`` (keyed, hex) are those of the archive's manifest.
    ``since`` and ``until`` bound the moments at which the runs were requested.
    """

    partition: str
    since: datetime
    until: datetime
    runs: int
    events: int
    first: int
    last: int
    digest: str
    address: str


class RetentionApplied(
    Event, frozen=True, kw_only=True, tag="operation.retention_applied"
):
    """What had outlived its time was removed: how many of each kind, and bytes."""

    removed: dict[str, int]
    bytes: int = 0


class ProjectionRebuilt(
    Event, frozen=True, kw_only=True, tag="operation.projection_rebuilt"
):
    """A projection was filled from the first event, and its views were swapped."""

    projection: str
    generation: int
    events: int
    duration_ms: int


class ProjectionSwappedBack(
    Event, frozen=True, kw_only=True, tag="operation.projection_swapped_back"
):
    """The views show the generation before again."""

    projection: str
    generation: int


class RebuildCancelled(
    Event, frozen=True, kw_only=True, tag="operation.rebuild_cancelled"
):
    """
    Somebody stopped a rebuild, or a swap back; the next one goes on with it.

    ``generation`` is absent where it still waited for its turn, or swapped back.
    """

    projection: str
    generation: int | None = None


class DeadLetterRetried(
    Event, frozen=True, kw_only=True, tag="operation.dead_letter_retried"
):
    """A parked event, and what waited behind it in its stream, was taken in."""

    projection: str
    log: Log
    stream: UUID
    position: int


class DeadLetterSkipped(
    Event, frozen=True, kw_only=True, tag="operation.dead_letter_skipped"
):
    """A parked event will never be taken in; its stream goes on without it."""

    projection: str
    log: Log
    stream: UUID
    position: int
    reason: str


class MasterKeyRotated(
    Event, frozen=True, kw_only=True, tag="operation.master_key_rotated"
):
    """The data keys are wrapped by another installation key; ids, never keys."""

    before: str
    after: str
    keys: int


class VisitsRemoved(Event, frozen=True, kw_only=True, tag="operation.visits_removed"):
    """What visitors left of public flows was removed; *flows* are theirs."""

    flows: tuple[UUID, ...]


type OperationEvent = (
    RunsArchived
    | RetentionApplied
    | ProjectionRebuilt
    | ProjectionSwappedBack
    | RebuildCancelled
    | DeadLetterRetried
    | DeadLetterSkipped
    | MasterKeyRotated
    | VisitsRemoved
)
