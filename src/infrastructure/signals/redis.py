"""Signals between processes, through Redis or Valkey."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import override

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from application.ports import Signals
from infrastructure.signals.ear import Ear

logger = logging.getLogger(__name__)

LONGEST_TAIL = 10_000
_TAIL_LIVES, _COUNT_LIVES = 3600, 24 * 3600  # seconds after the last word
_PATIENCE = 2.0
_SILENCE = 1.0  # after a failure, so that a lost Redis does not slow every word
_COMPLAINTS_APART = 60.0

# Numbers the word, keeps it in the tail, and tells those who listen: all in one.
_SAY = """
local number = redis.call('INCR', KEYS[2])
local word = number .. ' ' .. ARGV[2]
redis.call('RPUSH', KEYS[1], word)
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('PUBLISH', ARGV[1], word)
return number
"""


class _Listener:
    """Joins the tail and what is said live, each word once."""

    def __init__(self) -> None:
        self.ear = Ear()
        self._early: list[bytes] | None = []
        self._last = 0

    def begin(self, tail: list[bytes]) -> None:
        """Hear the *tail*, then what was said since we listened and is not in it."""
        for framed in tail:
            number, word = _unframed(framed)
            self._last = number
            self.ear.hear(word)
        early, self._early = self._early or [], None
        for framed in early:
            self.hear(framed)

    def hear(self, framed: bytes) -> None:
        """Hear one word live."""
        if self._early is not None:
            self._early.append(framed)
            return
        number, word = _unframed(framed)
        if number > self._last:
            self._last = 0  # joined: from here on order is Redis's
            self.ear.hear(word)


class RedisSignals(Signals):
    """
    Channels on a Redis, all over one subscribed connection.

    Without Redis nobody hears anything and nothing else happens: words may be lost.
    """

    def __init__(self, url: str, *, prefix: str = "langbuilder:signal:") -> None:
        self._prefix = prefix.encode()
        # One fresh connection is tried at once; waiting would hold up the speaker.
        self._redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 1),
        )
        self._say = self._redis.register_script(_SAY)
        self._pubsub = self._redis.pubsub()
        self._listeners: dict[bytes, set[_Listener]] = {}
        self._subscribed: dict[bytes, asyncio.Event] = {}
        self._changing = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None
        self._silent_until = 0.0
        self._complain_after = 0.0

    @override
    async def reachable(self) -> bool:
        try:
            return bool(await self._redis.ping())
        except RedisError:
            return False

    async def close(self) -> None:
        """Leave Redis."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        with suppress(RedisError):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis's own
        await self._redis.aclose()

    @override
    async def say(self, channel: str, word: bytes) -> None:
        if time.monotonic() < self._silent_until:
            return
        name = self._name(channel)
        try:
            await self._say(
                keys=[_tail(name), _count(name)],
                args=[name, word, LONGEST_TAIL, _TAIL_LIVES, _COUNT_LIVES],
            )
        except RedisError as error:
            self._silent_until = time.monotonic() + _SILENCE
            self._complain(error)

    @override
    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._listening(self._name(channel))

    @override
    async def forget(self, channel: str) -> None:
        # The count stays, for a listener tells by it what it has heard.
        try:
            await self._redis.delete(_tail(self._name(channel)))
        except RedisError as error:
            self._complain(error)

    @asynccontextmanager
    async def _listening(self, name: bytes) -> AsyncIterator[AsyncIterator[bytes]]:
        listener = _Listener()
        self._listeners.setdefault(name, set()).add(listener)
        try:
            listener.begin(await self._joined(name))
            yield listener.ear
        finally:
            self._listeners[name].discard(listener)
            await self._left(name)

    async def _joined(self, name: bytes) -> list[bytes]:
        """Subscribe, and only then read the tail, so that no word falls between."""
        try:
            async with asyncio.timeout(_PATIENCE):
                async with self._changing:
                    if name not in self._subscribed:
                        await self._pubsub.subscribe(name)
                        self._subscribed[name] = asyncio.Event()
                    if self._reading is None:
                        self._reading = asyncio.create_task(self._read())
                    subscribed = self._subscribed[name]
                await subscribed.wait()
                tail = await self._redis.lrange(_tail(name), 0, -1)
                return [word for word in tail if isinstance(word, bytes)]
        except (RedisError, TimeoutError) as error:
            self._complain(error)
            return []

    async def _left(self, name: bytes) -> None:
        async with self._changing:
            if self._listeners.get(name):
                return
            self._listeners.pop(name, None)
            if self._subscribed.pop(name, None) is not None:
                with suppress(RedisError):
                    await self._pubsub.unsubscribe(name)

    async def _read(self) -> None:
        while True:
            try:
                message = await self._pubsub.get_message(timeout=_PATIENCE)
            except (RedisError, OSError) as error:
                # The next read connects and subscribes again.
                self._complain(error)
                await asyncio.sleep(0.5)
                continue
            if message is None:
                continue
            name = message["channel"]
            if message["type"] == "subscribe" and name in self._subscribed:
                self._subscribed[name].set()
            elif message["type"] == "message":
                for listener in self._listeners.get(name, ()):
                    listener.hear(message["data"])

    def _complain(self, error: Exception) -> None:
        if time.monotonic() > self._complain_after:
            self._complain_after = time.monotonic() + _COMPLAINTS_APART
            logger.warning("signals are lost: Redis does not answer (%s)", error)

    def _name(self, channel: str) -> bytes:
        # The braces keep a channel's keys on one node of a cluster.
        return self._prefix + b"{" + channel.encode() + b"}"


def _tail(name: bytes) -> bytes:
    return name + b":tail"


def _count(name: bytes) -> bytes:
    return name + b":count"


def _unframed(framed: bytes) -> tuple[int, bytes]:
    number, _, word = framed.partition(b" ")
    return int(number), word
