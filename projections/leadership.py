"""Which projections this process leads, by advisory locks on one connection."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import AsyncConnection

from projections import checkpoints
from projections.holders import leader_key, named_dsn

if TYPE_CHECKING:
    from projections.checkpoints import Served

_logger = logging.getLogger(__name__)

INTERVAL = 1.0


class Leadership:
    """
    Tries to lead each projection, again and again, while it is led elsewhere.

    The locks live and die with the connection. Whoever loses it unknowingly is
    stopped by the fence of its checkpoint, so the locks only spare work in vain.
    """

    def __init__(
        self, dsn: str, names: Sequence[str], *, interval: float = INTERVAL
    ) -> None:
        self.served: dict[str, Served] = {}
        self._dsn = named_dsn(dsn, "leads")
        self._names = names
        self._interval = interval
        self._led: set[str] = set()
        self._resigned: dict[str, int] = {}
        self._looked_at = 0.0
        self._connection: AsyncConnection[Any] | None = None
        self._task: asyncio.Task[None] | None = None
        self._changed: list[Callable[[], None]] = []
        self._turn = asyncio.Lock()

    def leads(self, name: str) -> bool:
        """Tell whether this process is the one that writes *name*."""
        return name in self._led

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call *callback* when something was won, lost or replaced."""
        self._changed.append(callback)

    async def start(self) -> None:
        """Try for the first time, then go on trying."""
        await self._round()
        self._task = asyncio.create_task(self._run(), name="projection leadership")

    async def stop(self) -> None:
        """Give everything up."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._lose()

    def generation(self, name: str) -> int:
        """Return the generation of *name* that is served."""
        return self.served[name].generation

    async def look(self) -> None:
        """Read what is served, and how far it is, unless that was read just now."""
        asked = time.monotonic()
        async with self._turn:
            if self._connection is not None and self._looked_at < asked:
                try:
                    await self._read(self._connection)
                except (psycopg.Error, OSError):
                    await self._lose()

    async def resign(self, name: str) -> None:
        """Let others lead *name* until another generation of it is served."""
        self._resigned[name] = self.generation(name)
        self._led.discard(name)
        async with self._turn:
            if self._connection is not None:
                await self._connection.execute(
                    "SELECT pg_advisory_unlock(%s)", (leader_key(name),)
                )

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._round()

    async def _round(self) -> None:
        before = self._state()
        try:
            async with self._turn:
                if self._connection is None:
                    self._connection = await AsyncConnection.connect(
                        self._dsn, autocommit=True
                    )
                await self._read(self._connection)
                await self._try(self._connection)
        except (psycopg.Error, OSError) as error:
            _logger.warning("No leadership of projections: %s", error)
            await self._lose()
        if before != self._state():
            for callback in self._changed:
                callback()

    def _state(self) -> tuple[set[str], dict[str, int]]:
        generations = {name: one.generation for name, one in self.served.items()}
        return set(self._led), generations

    async def _try(self, connection: AsyncConnection[Any]) -> None:
        for name in self._names:
            served = self.served.get(name)
            if name in self._led or served is None:
                continue
            if self._resigned.get(name) == served.generation:
                continue
            cursor = await connection.execute(
                "SELECT pg_try_advisory_lock(%s)", (leader_key(name),)
            )
            row = await cursor.fetchone()
            if row is not None and row[0]:
                self._led.add(name)

    async def _read(self, connection: AsyncConnection[Any]) -> None:
        self.served = await checkpoints.served(connection)
        self._looked_at = time.monotonic()

    async def _lose(self) -> None:
        self._led.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()
