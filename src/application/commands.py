"""What carrying out a command comes to, and how a command is tried again."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Final
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

import msgspec

from application.ports import Attached, Cause, ConcurrencyError, Position

TRIES: Final = 4
LONGEST_PAUSE: Final = 0.05


class Done[T](msgspec.Struct, frozen=True):
    """A command was carried out: what came of it, and where it lies in the logs."""

    result: T
    position: Position = Position()


class Turns[Key: Hashable]:
    """
    One at a time for each key, in this process.

    Where many look at once and then act on what they saw, all would see the same.
    """

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: Key) -> asyncio.Lock:
        """Return the turn of *key*, to be held from looking to acting."""
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        return turn


async def deciding_again[T](attempt: Callable[[], Awaitable[T]]) -> T:
    """Decide once more whenever somebody else recorded first, up to three times."""
    for tried in range(1, TRIES + 1):
        try:
            return await attempt()
        except ConcurrencyError:
            if tried == TRIES:
                raise
        # Jitter: those who collided must not collide again.
        await asyncio.sleep(random.uniform(0, LONGEST_PAUSE) * tried)  # noqa: S311
    raise ConcurrencyError


def part_of(cause: Cause, name: str) -> Cause:
    """Return the cause of one step of a command that takes several saves."""
    return msgspec.structs.replace(
        cause,
        command_id=uuid5(cause.command_id, name),
        causation_id=cause.command_id,
    )


def ids_in(answer: bytes) -> list[UUID]:
    """Read back the ids that a command stored for its repeats."""
    return msgspec.json.decode(answer, type=list[UUID]) if answer else []


def answer_of(*ids: UUID) -> bytes:
    """Write down *ids* for the repeats of a command."""
    return msgspec.json.encode(ids)


def together(*attached: Attached) -> Attached:
    """Return one attachment with everything of *attached*, in order."""
    return Attached(
        **{
            name: tuple(item for one in attached for item in getattr(one, name))
            for name in Attached.__struct_fields__
        }
    )
