"""How often people may fail to sign in."""

import pytest

from application.failures import FAILURES, WINDOW, Failures, TooManyFailuresError
from infrastructure.tallies.memory import MemoryTallies


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Failures:
    return Failures(MemoryTallies(clock))


async def fail(failures: Failures, times: int) -> list[bool]:
    return [await failures.note("ada", "10.0.0.1") for _ in range(times)]


async def test_the_tenth_failure_closes_the_door_and_says_so_once(
    failures: Failures,
) -> None:
    assert await fail(failures, FAILURES) == [False] * 9 + [True]

    with pytest.raises(TooManyFailuresError) as refused:
        await failures.check("ada", "10.0.0.1")

    assert 0 < refused.value.seconds <= WINDOW.total_seconds() + 1


async def test_nine_failures_are_forgiven(failures: Failures) -> None:
    await fail(failures, FAILURES - 1)

    await failures.check("ada", "10.0.0.1")


async def test_the_door_opens_when_the_oldest_failure_is_forgotten(
    failures: Failures, clock: Clock
) -> None:
    await fail(failures, FAILURES)

    clock.now += WINDOW.total_seconds() + 0.1

    await failures.check("ada", "10.0.0.1")


async def test_another_name_and_another_address_are_not_concerned(
    failures: Failures,
) -> None:
    await fail(failures, FAILURES)

    await failures.check("bob", "10.0.0.1")
    await failures.check("ada", "10.0.0.2")


async def test_the_right_password_begins_anew(failures: Failures) -> None:
    await fail(failures, FAILURES - 1)

    await failures.forget("ada", "10.0.0.1")

    assert await fail(failures, FAILURES - 1) == [False] * 9


async def test_the_same_wrong_password_counts_once(failures: Failures) -> None:
    for guess in ("first", "second"):
        for _ in range(FAILURES):
            assert not await failures.note("ada", "10.0.0.1", guess=guess)

    await failures.check("ada", "10.0.0.1")
    others = [
        await failures.note("ada", "10.0.0.1", guess=f"guess {n}")
        for n in range(FAILURES - 2)
    ]
    assert others == [False] * (FAILURES - 3) + [True]
