"""Hears from other processes that a log has grown, on one connection for all."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg import AsyncConnection

from application.ports import Position
from domain.kernel import Log
from infrastructure.event_store.command import position_in
from infrastructure.event_store.notifier import CHANNELS
from infrastructure.postgres import connection_string

logger = logging.getLogger(__name__)

type Told = Callable[[Log, Position], None]

QUIET = 30.0
"""Seconds of silence after which the connection is asked whether it still stands."""
LONGEST_PAUSE = 5.0
LOGS: dict[str, Log] = {channel: log for log, channel in CHANNELS.items()}


class Listener:
    """
    Calls back when a log has grown, with the position it reached.

    After a connection was lost and made again it calls back with `Position()`:
    something may have been missed. Readers look by themselves once a second anyway.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = connection_string(dsn)
        self._told: dict[Log, list[Told]] = {"core": [], "runs": []}
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    def on(self, log: Log, callback: Told) -> None:
        """Call *callback* whenever *log* has grown."""
        self._told[log].append(callback)

    async def start(self) -> None:
        """Listen from now on; return once it does, or after a second without luck."""
        self._task = asyncio.create_task(self._run(), name="listener")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._listening.wait(), timeout=1)

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._dsn, autocommit=True
                ) as connection:
                    pause = 0.1
                    await self._hear(connection)
            except psycopg.Error as error:
                logger.warning("Not listening to the logs for a moment: %s", error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    async def _hear(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        for log, channel in CHANNELS.items():
            await connection.execute(f"LISTEN {channel}".encode())
            self._call(log, Position())
        self._listening.set()
        while True:
            async for word in connection.notifies(timeout=QUIET):
                log = LOGS[word.channel]
                self._call(log, position_in(log, int(word.payload)))
            await connection.execute("SELECT 1")

    def _call(self, log: Log, position: Position) -> None:
        for callback in self._told[log]:
            callback(log, position)
