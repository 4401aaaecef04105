"""Many who ask at the same time share a query that is not older than their question."""

import asyncio
from collections.abc import Mapping

import pytest

from application.gathered import Gathered


class Asked:
    """Answers with how often it was asked, when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = asyncio.Event()

    async def __call__(self, keys: list[str]) -> Mapping[str, int]:
        self.batches.append(keys)
        number = len(self.batches)
        await self.go.wait()
        return {key: number for key in keys if key != "unknown"}


async def started(asked: Asked, batches: int) -> None:
    async with asyncio.timeout(30):
        while len(asked.batches) < batches:
            await asyncio.sleep(0)


async def test_the_first_is_asked_for_at_once_and_those_who_follow_together() -> None:
    asked = Asked()
    gathered = Gathered(asked)

    first = asyncio.create_task(gathered.of("a"))
    await started(asked, 1)
    rest = [asyncio.create_task(gathered.of(key)) for key in ("b", "c", "b")]
    await asyncio.sleep(0)
    asked.go.set()

    assert await first == 1
    assert await asyncio.gather(*rest) == [2, 2, 2]
    assert asked.batches == [["a"], ["b", "c"]]


async def test_who_comes_while_the_same_is_asked_gets_a_newer_answer() -> None:
    asked = Asked()
    gathered = Gathered(asked)

    first = asyncio.create_task(gathered.of("a"))
    await started(asked, 1)
    second = asyncio.create_task(gathered.of("a"))
    await asyncio.sleep(0)
    asked.go.set()

    assert (await first, await second) == (1, 2)


async def test_what_nobody_knows_is_none() -> None:
    asked = Asked()
    asked.go.set()

    assert await Gathered(asked).of("unknown") is None


async def test_who_leaves_does_not_take_the_answer_from_the_others() -> None:
    asked = Asked()
    gathered = Gathered(asked)
    leaving, staying = (asyncio.create_task(gathered.of("a")) for _ in range(2))
    await started(asked, 1)

    leaving.cancel()
    await asyncio.sleep(0)
    asked.go.set()

    assert await staying == 1


async def test_an_error_reaches_all_who_asked_and_nobody_after_them() -> None:
    failing = True

    async def ask(keys: list[str]) -> Mapping[str, int]:
        await asyncio.sleep(0)
        if failing:
            raise OSError
        return dict.fromkeys(keys, 1)

    gathered = Gathered(ask)
    found = await asyncio.gather(
        gathered.of("a"), gathered.of("b"), return_exceptions=True
    )
    failing = False

    assert [type(one) for one in found] == [OSError, OSError]
    assert await gathered.of("a") == 1
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await gathered.of("a")
