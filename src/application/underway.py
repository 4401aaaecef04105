"""Notes of blobs that no row names yet or no longer: what a killed server leaves."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

from application.ports import SYSTEM, Attached, Cause, Claim, Claims, EventStore

KIND: Final = "blob"
_WHEN: Final = "%Y-%m-%dT%H:%M:%SZ"


def note(owner: UUID, address: str, *, size: int, at: datetime) -> Claim:
    """
    Return the note of a blob that comes or goes: written before, released after.

    It is a claim, for claims are stored and released with events. ``size`` is what
    the blob takes of its owner's room until it is kept; nothing if it goes.
    """
    when = at.astimezone(UTC).strftime(_WHEN)
    return Claim(KIND, f"{owner}/{when}/{size}/{address}", owner)


async def arriving(claims: Claims, owner: UUID) -> int:
    """Return how many bytes of *owner* are on their way into the store."""
    notes = await claims.taken(KIND, f"{owner}/")
    return sum(int(claim.key.split("/")[2]) for claim in notes)


async def keep(store: EventStore, *notes: Claim, cause: Cause) -> None:
    """Write *notes*, before their blobs come."""
    await store.save(cause=_aside(cause), attached=Attached(claims=notes))


async def exchange(
    store: EventStore, before: Claim, after: Claim, *, cause: Cause
) -> None:
    """Write one note in the place of another."""
    if before == after:
        return
    attached = Attached(claims=(after,), released=(before,))
    await store.save(cause=_aside(cause), attached=attached)


async def release(store: EventStore, *notes: Claim, cause: Cause) -> None:
    """Drop *notes*, once their blobs have gone."""
    if notes:
        await store.save(cause=_aside(cause), attached=Attached(released=notes))


def _aside(cause: Cause) -> Cause:
    """Return the cause of a save that holds no event, and need not be repeated."""
    return Cause(
        actor=SYSTEM,
        command_id=uuid4(),
        correlation_id=cause.correlation_id,
        causation_id=cause.command_id,
    )
