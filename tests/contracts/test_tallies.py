"""What every keeper of counts must do: in one process, and on a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from application.failures import FAILURES, Failures, TooManyFailuresError
from application.ports.tallies import Tallies, TalliesAwayError
from application.rates import Limiter, Rates, TooManyRequestsError
from infrastructure.tallies.memory import MemoryTallies
from infrastructure.tallies.redis import RedisTallies
from tests.servers import free_port

type Connect = Callable[[], Tallies]

RATES = Rates(sign_in=2, runs=3, public_runs=0, uploads=0, other=0)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server)])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Connect as another server would; in memory there is only one."""
    if request.param == "memory":
        only = MemoryTallies()
        yield lambda: only
        return
    url = request.getfixturevalue("valkey_url")
    async with AsyncExitStack() as connections:

        def connected() -> Tallies:
            tallies = RedisTallies(url, prefix=f"{request.node.name}:")
            connections.push_async_callback(tallies.close)
            return tallies

        yield connected


@pytest.fixture
def tallies(connect: Connect) -> Tallies:
    return connect()


@pytest.fixture
async def lost() -> AsyncIterator[RedisTallies]:
    tallies = RedisTallies(f"redis://127.0.0.1:{free_port()}/0")
    yield tallies
    await tallies.close()


async def test_what_happens_is_counted_until_it_is_forgotten(tallies: Tallies) -> None:
    assert (await tallies.look("tea")).times == 0

    first = await tallies.add("tea", within=60)
    second = await tallies.add("tea", within=9_999)

    assert (first.times, second.times) == (1, 2)
    assert 0 < second.seconds <= first.seconds <= 60
    assert (await tallies.look("tea")).times == 2
    assert (await tallies.add("coffee", within=60)).times == 1
    await tallies.forget("tea")
    assert (await tallies.look("tea")).times == 0


async def test_what_was_counted_ends_a_while_after_the_first(tallies: Tallies) -> None:
    await tallies.add("tea", within=0.05)
    async with asyncio.timeout(30):
        while (await tallies.look("tea")).times:
            await asyncio.sleep(0.01)

    assert (await tallies.add("tea", within=60)).times == 1


async def test_servers_that_count_at_once_get_different_numbers(
    connect: Connect,
) -> None:
    servers = [connect() for _ in range(4)]

    counted = await asyncio.gather(
        *(servers[n % 4].add("tea", within=60) for n in range(100))
    )

    assert sorted(tally.times for tally in counted) == list(range(1, 101))


async def test_the_tenth_failure_on_any_server_closes_all_doors(
    connect: Connect,
) -> None:
    doors = [Failures(connect()) for _ in range(3)]

    closed = [await doors[n % 3].note("ada", "10.0.0.1") for n in range(FAILURES)]

    assert closed == [False] * 9 + [True]
    for door in doors:
        with pytest.raises(TooManyFailuresError):
            await door.check("ada", "10.0.0.1")
        await door.check("bob", "10.0.0.1")


async def test_a_rate_holds_over_all_servers_and_tells_what_is_left(
    connect: Connect,
) -> None:
    here, there = Limiter(connect(), RATES), Limiter(connect(), RATES)

    left = [
        await here.spend("runs", "ada"),
        await there.spend("runs", "ada"),
        await here.spend("runs", "ada"),
    ]
    with pytest.raises(TooManyRequestsError) as refused:
        await there.spend("runs", "ada")

    assert [one.remaining for one in left if one] == [2, 1, 0]
    assert refused.value.left.remaining == 0
    assert 0 < refused.value.seconds <= 60
    assert await there.spend("runs", "bob") is not None
    assert await there.spend("uploads", "ada") is None  # 0: any number


@pytest.mark.server
async def test_a_count_that_lost_its_end_is_given_one_again(valkey_url: str) -> None:
    tallies = RedisTallies(valkey_url, prefix="endless:")
    async with Redis.from_url(valkey_url) as operator:
        await operator.set("endless:tea", 7)

        tally = await tallies.add("tea", within=60)

        assert tally.times == 8
        assert 0 < await operator.pttl("endless:tea") <= 60_000
    await tallies.close()


async def test_without_redis_nobody_signs_in_and_all_else_goes_on(
    lost: RedisTallies,
) -> None:
    limiter = Limiter(lost, RATES)

    for _ in range(5):
        assert await limiter.spend("runs", "ada") is None
    with pytest.raises(TalliesAwayError):
        await limiter.spend("sign_in", "10.0.0.1")
    with pytest.raises(TalliesAwayError):
        await Failures(lost).check("ada", "10.0.0.1")


async def test_in_memory_the_oldest_count_makes_room() -> None:
    tallies = MemoryTallies(most=2)
    for what in ("tea", "coffee", "water"):
        await tallies.add(what, within=60)

    assert (await tallies.look("tea")).times == 0
    assert (await tallies.look("water")).times == 1
