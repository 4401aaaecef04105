"""Counts that all servers share, on a Redis or Valkey."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, override

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from application.ports.tallies import Tallies, TalliesAwayError, Tally

logger = logging.getLogger(__name__)

_PATIENCE: Final = 0.5
_SILENCE: Final = 1.0  # after a failure, so that a lost Redis does not slow every call
_COMPLAINTS_APART: Final = 60.0

# A key without an end would count for ever: one that lost it is given it again.
_ADD: Final = """
local count = redis.call('INCR', KEYS[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], left)
end
return {count, left}
"""
_LOOK: Final = """
return {tonumber(redis.call('GET', KEYS[1]) or 0), redis.call('PTTL', KEYS[1])}
"""


class RedisTallies(Tallies):
    """Counts on Redis, by its clock: one script a count, so one trip."""

    def __init__(self, url: str, *, prefix: str = "langbuilder:tally:") -> None:
        self._prefix = prefix
        self._redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=_PATIENCE,
            socket_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 1),
        )
        self._add = self._redis.register_script(_ADD)
        self._look = self._redis.register_script(_LOOK)
        self._silent_until = 0.0
        self._complain_after = 0.0

    async def close(self) -> None:
        """Leave Redis."""
        await self._redis.aclose()

    @override
    async def add(self, what: str, *, within: float) -> Tally:
        milliseconds = max(1, round(within * 1000))
        key = self._key(what)
        return _tally(await self._asked(lambda: self._add([key], [milliseconds])))

    @override
    async def look(self, what: str) -> Tally:
        key = self._key(what)
        return _tally(await self._asked(lambda: self._look([key])))

    @override
    async def forget(self, what: str) -> None:
        key = self._key(what)
        await self._asked(lambda: self._redis.delete(key))

    async def _asked(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        if time.monotonic() < self._silent_until:
            raise TalliesAwayError
        try:
            return await ask()
        except (RedisError, OSError) as error:
            self._silent_until = time.monotonic() + _SILENCE
            self._complain(error)
            raise TalliesAwayError from error

    def _complain(self, error: Exception) -> None:
        if time.monotonic() > self._complain_after:
            self._complain_after = time.monotonic() + _COMPLAINTS_APART
            logger.warning("limits are not kept: Redis does not answer (%s)", error)

    def _key(self, what: str) -> str:
        return self._prefix + what


def _tally(answer: Any) -> Tally:
    count, left = answer
    return Tally(int(count), max(0, int(left)) / 1000)
