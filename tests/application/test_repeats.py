"""A repeat whose first ends in between is answered like the first."""

from uuid import uuid4

import pytest

from application.ports import Cause, IdempotencyKeyReusedError, Saved
from application.repeats import once
from domain.kernel import DomainError
from infrastructure.event_store.memory import MemoryEventStore
from tests.contracts.event_stores import Named, because


class GoneError(DomainError):
    """It is not there any more."""


class Deleting:
    """A command that another server carries out while this one is about to."""

    def __init__(self, *, elsewhere: Cause | None) -> None:
        self.store = MemoryEventStore()
        self._elsewhere = elsewhere

    async def attempt(self) -> bytes:
        if self._elsewhere is not None:
            await self.store.save(
                Named.called("a"), cause=self._elsewhere, answer=b"first"
            )
        raise GoneError

    async def again(self, before: Saved) -> bytes:
        return before.answer

    async def once(self, cause: Cause) -> bytes:
        return await once(self.store, cause, again=self.again, attempt=self.attempt)


async def test_a_refusal_that_the_first_caused_is_none() -> None:
    cause = because(key=uuid4())
    assert await Deleting(elsewhere=cause).once(cause) == b"first"


async def test_a_refusal_stands_where_there_was_no_first() -> None:
    with pytest.raises(GoneError):
        await Deleting(elsewhere=None).once(because(key=uuid4()))


async def test_a_refusal_stands_without_a_key() -> None:
    cause = because()
    with pytest.raises(GoneError):
        await Deleting(elsewhere=cause).once(cause)


async def test_a_key_used_for_something_else_meanwhile_is_refused() -> None:
    key = uuid4()
    other = because(key=key, request=b"another")
    with pytest.raises(IdempotencyKeyReusedError):
        await Deleting(elsewhere=other).once(because(key=key))


async def test_a_repeat_is_not_attempted() -> None:
    cause = because(key=uuid4())
    deleting = Deleting(elsewhere=cause)
    with pytest.raises(GoneError):
        await deleting.attempt()
    deleting.attempt = None  # type: ignore[method-assign,assignment]  # not to be called

    assert await deleting.once(cause) == b"first"
