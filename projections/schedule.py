"""Applies the retention now and then, on one server of several."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from infrastructure.postgres import connection_string
from projections.retention import RetentionRunningError

LEADER_LOCK: Final = 0x6C62_726C
"""The advisory lock of the one server whose schedule counts."""
VISITS_LOCK: Final = 0x6C62_7276
"""The same for what visitors left."""
SOON: Final = 300.0
"""Seconds after its start that a server waits at most, more or less."""
_GRAIN: Final = 1000

_logger = logging.getLogger(__name__)


class Schedule:
    """
    Does *work* every so many seconds, and a little sooner or later than that.

    So servers that were started together do not do everything at the same moment.
    """

    def __init__(
        self,
        dsn: str,
        work: Callable[[], Awaitable[object]],
        *,
        every: float,
        soon: float = SOON,
        lock: int = LEADER_LOCK,
    ) -> None:
        self._dsn = connection_string(dsn)
        self._work = work
        self._every = every
        self._soon = soon
        self._lock = lock
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to wait, if there is anything to wait for."""
        if self._every:
            self._task = asyncio.create_task(self._run(), name="retention")

    async def stop(self) -> None:
        """Let it be; what was begun is begun again by whoever is next."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._disconnect()

    async def _run(self) -> None:
        await asyncio.sleep(min(self._every, self._soon) * _about(spread=0.5))
        while True:
            try:
                if await self._leads():
                    await self._work()
            except RetentionRunningError:
                _logger.info("Somebody applies the retention by hand")
            except (psycopg.Error, OSError) as error:
                _logger.warning("The retention is put off: %s", error)
                await self._disconnect()
            except Exception:
                _logger.exception("The retention could not be applied")
            await asyncio.sleep(self._every * _about(spread=0.1))

    async def _leads(self) -> bool:
        """Tell whether it is this server that does it; asking again does no harm."""
        if self._connection is None or self._connection.closed:
            self._connection = await AsyncConnection.connect(self._dsn, autocommit=True)
        asked = "SELECT pg_try_advisory_lock(%s)"
        cursor = await self._connection.execute(asked, (self._lock,))
        row = await cursor.fetchone()
        return bool(row and row[0])

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()


def _about(*, spread: float) -> float:
    """Return a number near one."""
    return 1 + spread * (2 * secrets.randbelow(_GRAIN) / _GRAIN - 1)
