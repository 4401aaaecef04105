"""What every carrier of signals must do: in process, and through a real Valkey."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from application.ports import Signals
from infrastructure.signals import memory
from infrastructure.signals.memory import MemorySignals
from infrastructure.signals.redis import RedisSignals
from tests.servers import free_port

type Connect = Callable[[], Signals]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.server)])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Connect as another server would; in memory there is only one."""
    if request.param == "memory":
        only = MemorySignals()
        yield lambda: only
        return
    url = request.getfixturevalue("valkey_url")
    async with AsyncExitStack() as connections:

        def connected() -> Signals:
            signals = RedisSignals(url, prefix=f"{request.node.name}:")
            connections.push_async_callback(signals.close)
            return signals

        yield connected


@pytest.fixture
def signals(connect: Connect) -> Signals:
    return connect()


async def heard(words: AsyncIterator[bytes], *, count: int) -> list[bytes]:
    async with asyncio.timeout(30):
        return [await anext(words) for _ in range(count)]


async def nothing_is_heard(words: AsyncIterator[bytes]) -> bool:
    try:
        async with asyncio.timeout(0.2):
            await anext(words)
    except TimeoutError:
        return True
    return False


async def test_a_listener_hears_what_is_said(signals: Signals) -> None:
    async with signals.listen("run:1") as words:
        await signals.say("run:1", b"one")
        await signals.say("run:1", b"two \x00\xff")

        assert await heard(words, count=2) == [b"one", b"two \x00\xff"]


async def test_a_late_listener_hears_the_tail_and_then_the_rest(
    signals: Signals,
) -> None:
    await signals.say("run:1", b"one")
    await signals.say("run:1", b"two")

    async with signals.listen("run:1") as words:
        await signals.say("run:1", b"three")

        assert await heard(words, count=3) == [b"one", b"two", b"three"]


async def test_every_listener_hears_every_word_on_any_server(connect: Connect) -> None:
    speaker, watcher = connect(), connect()

    async with watcher.listen("run:1") as first, speaker.listen("run:1") as second:
        await speaker.say("run:1", b"one")

        assert await heard(first, count=1) == await heard(second, count=1) == [b"one"]


async def test_a_channel_does_not_hear_another(signals: Signals) -> None:
    async with signals.listen("run:1") as words:
        await signals.say("run:2", b"elsewhere")

        assert await nothing_is_heard(words)


async def test_what_was_forgotten_is_not_heard_again(signals: Signals) -> None:
    await signals.say("run:1", b"one")
    await signals.forget("run:1")

    async with signals.listen("run:1") as words:
        assert await nothing_is_heard(words)
        await signals.say("run:1", b"two")
        assert await heard(words, count=1) == [b"two"]


async def test_forgetting_does_not_deafen_those_who_listen(signals: Signals) -> None:
    await signals.say("run:1", b"one")
    async with signals.listen("run:1") as words:
        await signals.forget("run:1")
        await signals.say("run:1", b"two")

        assert await heard(words, count=2) == [b"one", b"two"]


async def test_who_left_may_come_back(signals: Signals) -> None:
    for _ in range(3):
        async with signals.listen("run:1"):
            pass
    async with signals.listen("run:1") as words:
        await signals.say("run:1", b"one")

        assert await heard(words, count=1) == [b"one"]


async def test_whenever_one_joins_each_word_is_heard_once_in_order(
    connect: Connect,
) -> None:
    speaker, watcher = connect(), connect()
    said = [b"%d" % number for number in range(300)]

    async def speak() -> None:
        for word in said:
            await speaker.say("run:1", word)
            await asyncio.sleep(0)

    async def listen(delay: float) -> list[bytes]:
        await asyncio.sleep(delay)
        async with watcher.listen("run:1") as words:
            return await heard(words, count=len(said))

    results = await asyncio.gather(
        speak(), *(listen(number * 0.005) for number in range(20))
    )

    assert all(result == said for result in results[1:])


async def test_channels_nobody_forgets_do_not_pile_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "_MOST_CHANNELS", 3)
    signals = MemorySignals()

    async with signals.listen("run:0") as words:
        for number in range(10):
            await signals.say(f"run:{number}", b"one")

        assert len(signals._channels) == 3
        assert await heard(words, count=1) == [b"one"]


async def test_without_redis_words_are_lost_and_nothing_else() -> None:
    signals = RedisSignals(f"redis://127.0.0.1:{free_port()}/0")

    assert not await signals.reachable()
    await signals.say("run:1", b"one")
    async with signals.listen("run:1") as words:
        assert await nothing_is_heard(words)
    await signals.forget("run:1")
    await signals.close()


@pytest.mark.server
async def test_a_listener_hears_again_after_its_connection_broke(
    valkey_url: str,
) -> None:
    signals = RedisSignals(valkey_url, prefix="broken:")
    async with (
        Redis.from_url(valkey_url) as operator,
        signals.listen("run:1") as words,
    ):
        await operator.client_kill_filter(_type="pubsub")

        async with asyncio.timeout(30):
            while not (await operator.pubsub_numsub("broken:{run:1}"))[0][1]:
                await asyncio.sleep(0.05)
        await signals.say("run:1", b"one")

        assert await heard(words, count=1) == [b"one"]
    await signals.close()
