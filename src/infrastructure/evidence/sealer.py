"""Seals the logs a few seconds behind their heads, so that changes can be told."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection

from domain.kernel import Log
from infrastructure.event_store.stored_event import microseconds
from infrastructure.evidence.segments import (
    BEGINNING,
    NO_CHAIN,
    SEALER_LOCK,
    SEGMENTS,
    Facts,
    Sign,
    chained,
    signed,
)
from infrastructure.postgres import connection_string

INTERVAL = 10.0
"""Seconds between looks; events wait at least one and at most two of them."""
LARGEST = 2048
"""How many events a segment holds at most."""
STATEMENT_TIMEOUT = "300s"
LAST_ROUND = 2.0
"""Seconds that sealing the rest may hold up a server that stops."""

_NOTHING: tuple[int, int, int, None] = (0, 0, 0, None)
_logger = logging.getLogger(__name__)


class Sealer:
    """
    Seals what every server appended; of several, one does it, and others stand by.

    Under a log's lock positions are drawn in the order of commits, so all up to a
    head that was seen is safe to read.
    """

    def __init__(
        self,
        dsn: str,
        sign: Sign,
        *,
        interval: float = INTERVAL,
        largest: int = LARGEST,
    ) -> None:
        self._dsn = connection_string(dsn)
        self._sign = sign
        self._interval = interval
        self._largest = largest
        self._seen: dict[Log, int] = {}
        self._connection: AsyncConnection[Any] | None = None
        self._leads = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to seal, from where sealing stopped."""
        self._task = asyncio.create_task(self._run(), name="sealer")

    async def stop(self) -> None:
        """Seal what is left, if that does not take long, and let others go on."""
        self._stopping.set()
        if self._task is not None:
            await self._task
        if self._leads:
            try:
                async with asyncio.timeout(LAST_ROUND):
                    await self.seal()
            except (TimeoutError, psycopg.Error, OSError) as error:
                _logger.info("The next server seals the rest: %s", error)
        await self._disconnect()

    async def seal(self) -> int:
        """
        Seal all there is by now; return how many events that were.

        Nothing is sealed while another server does it.
        """
        connection = await self._leading()
        if connection is None:
            return 0
        return sum(
            [
                await self._seal(connection, log, await self._head(connection, log))
                for log in SEGMENTS
            ]
        )

    async def close(self) -> None:
        """Disconnect, where `start` was not called."""
        await self._disconnect()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._round()
            except (psycopg.Error, OSError) as error:
                _logger.warning("Nothing is sealed for now: %s", error)
                await self._disconnect()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._stopping.wait()

    async def _round(self) -> None:
        connection = await self._leading()
        if connection is None:
            return
        for log in SEGMENTS:
            if self._stopping.is_set():
                return
            await self._seal(
                connection, log, self._seen.get(log, 0), enough=self._stopping.is_set
            )
            self._seen[log] = await self._head(connection, log)

    async def _seal(
        self,
        connection: AsyncConnection[Any],
        log: Log,
        upto: int,
        *,
        enough: Callable[[], bool] = lambda: False,
    ) -> int:
        statements = SEGMENTS[log]
        cursor = connection.cursor(binary=True)
        await cursor.execute(statements["last"])
        number, last, chain = await cursor.fetchone() or (0, BEGINNING, NO_CHAIN)
        sealed = 0
        while last < upto and not enough():
            asked = {"after": last, "upto": upto, "limit": self._largest}
            await cursor.execute(statements["next"], asked)
            count, first, last_now, entries = await cursor.fetchone() or _NOTHING
            if entries is None:
                break
            number, last, at = number + 1, last_now, datetime.now(UTC)
            facts = Facts(number, first, last, count, microseconds(at))
            chain = chained(log, chain, facts, entries)
            signature = signed(self._sign, log, number, chain)
            await cursor.execute(
                statements["seal"],
                (number, first, last, count, entries, chain, signature, at),
            )
            sealed += count
        return sealed

    async def _head(self, connection: AsyncConnection[Any], log: Log) -> int:
        cursor = await connection.execute(SEGMENTS[log]["head"])
        [head] = await cursor.fetchone() or (0,)
        return int(head)

    async def _leading(self) -> AsyncConnection[Any] | None:
        """Return the connection that holds the lock, if it is ours to have."""
        if self._connection is None:
            self._connection = await AsyncConnection.connect(self._dsn, autocommit=True)
            patience = {"statement_timeout": STATEMENT_TIMEOUT}
            await self._connection.execute(SEGMENTS["core"]["session"], patience)
        if not self._leads:
            asked = SEGMENTS["core"]["lead"], {"key": SEALER_LOCK}
            row = await (await self._connection.execute(*asked)).fetchone()
            self._leads = bool(row and row[0])
        return self._connection if self._leads else None

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._leads = False
        if connection is not None:
            with suppress(psycopg.Error, OSError):
                await connection.close()
