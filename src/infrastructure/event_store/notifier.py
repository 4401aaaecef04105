"""Tells other processes, after the commit and all at once, that a log has grown."""

import asyncio
import logging
from contextlib import suppress

import psycopg
from psycopg import AsyncConnection

from application.ports import Position
from domain.kernel import Log
from infrastructure.postgres import connection_string

logger = logging.getLogger(__name__)

CHANNELS: dict[Log, str] = {"core": "events_core", "runs": "events_runs"}
PAUSE = 0.01
"""Seconds between two notifications, so that many commits share one: each costs."""


class Notifier:
    """
    Sends NOTIFY on a connection of its own.

    Inside the append transaction NOTIFY would be a lock over the whole database.
    A lost word does no harm: readers look by themselves every second.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = connection_string(dsn)
        self._position = Position()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._run(), name="notifier")

    async def stop(self) -> None:
        """Stop telling."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def tell(self, position: Position) -> None:
        """Have others told that the logs reach *position*."""
        self._position = self._position.upto(position)
        self._wake.set()

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            try:
                async with await AsyncConnection.connect(
                    self._dsn, autocommit=True
                ) as connection:
                    await self._send(connection)
            except psycopg.Error as error:
                logger.warning("Cannot notify: %s", error)
                await asyncio.sleep(1)
                self._wake.set()

    async def _send(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        # A notification is written ahead like any commit; nobody needs it durable.
        await connection.execute("SET synchronous_commit = off")
        told = Position()
        while True:
            await self._wake.wait()
            self._wake.clear()
            now = self._position
            for log, channel in CHANNELS.items():
                if getattr(now, log) > getattr(told, log):
                    await connection.execute(
                        "SELECT pg_notify(%s, %s)", [channel, str(getattr(now, log))]
                    )
            told = now
            await asyncio.sleep(PAUSE)
