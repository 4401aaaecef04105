"""A command that is sent twice is carried out once and answered alike."""

from collections.abc import Awaitable, Callable

from application.ports import Cause, EventStore, Saved
from domain.kernel import DomainError


async def once[T](
    store: EventStore,
    cause: Cause,
    *,
    again: Callable[[Saved], Awaitable[T]],
    attempt: Callable[[], Awaitable[T]],
) -> T:
    """
    Return what *attempt* comes to, or for a repeat what *again* makes of the first.

    The first may be under way on another server and end in between: then a repeat
    is refused for what it has done itself. So a refusal is looked at once more.
    """
    if before := await store.answered(cause):
        return await again(before)
    try:
        return await attempt()
    except DomainError:
        before = await store.outcome(cause) if cause.idempotent else None
        if before is None:
            raise
        return await again(before)
