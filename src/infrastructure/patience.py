"""An end to waiting for a database, and connections that outlive who waited."""

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, override

import psycopg
from psycopg import AsyncConnection, waiting
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool

LONGEST_WAIT = 150.0
"""Seconds for one answer: more than the server is given for the longest statements."""
SOON = 0.5
"""Seconds that an answer nobody wants any more may take, before it is called off."""
CALLED_OFF = 5.0
"""Seconds that the server may take to call it off."""


@contextmanager
def cut_off(connection: AsyncConnection[Any], *, after: float) -> Iterator[None]:
    """
    Hang up if what is done within takes longer than *after* seconds.

    Time-outs of the server are of no use when it is the server that stands still.
    Cancelling is not either, for that asks the server to cancel, and waits.
    """
    hanging_up = asyncio.get_running_loop().call_later(
        after, _hang_up, connection.pgconn.socket
    )
    try:
        yield
    finally:
        hanging_up.cancel()


def _hang_up(connected: int) -> None:
    # Only hung up, not closed: its owner finds the end of the file, and closes it.
    with socket.socket(fileno=os.dup(connected)) as line:
        line.shutdown(socket.SHUT_RDWR)


class PatientConnection(AsyncConnection[tuple[Any, ...]]):
    """
    A connection that is lost when one answer takes longer than it may.

    Whoever is cancelled while it waits takes the answer before it leaves, so that the
    connection is good for the next. psycopg would call the statement off, for which
    it needs one more connection each time, and give this one up if it is cancelled
    once more meanwhile; cancel scopes of anyio, in which streams are sent, cancel all
    the time.
    """

    longest_wait = LONGEST_WAIT

    @override
    async def wait[T](
        self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None
    ) -> T:
        line = self.pgconn.socket
        with cut_off(self, after=self.longest_wait):
            try:
                return await waiting.wait_async(gen, line, interval, timeout)
            except asyncio.CancelledError:
                await undisturbed(self._come_to_rest(gen))
                raise

    async def _come_to_rest(self, gen: PQGen[Any]) -> None:
        """Take the answer that nobody waits for any more; then all is as before."""
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return
        line = self.pgconn.socket
        with suppress(psycopg.Error):  # an answer like any other: nobody is told
            try:
                async with asyncio.timeout(SOON):
                    await waiting.wait_async(gen, line)
            except TimeoutError:
                try:
                    async with asyncio.timeout(CALLED_OFF):
                        await self.cancel_safe(timeout=CALLED_OFF)
                        await waiting.wait_async(gen, line)
                except TimeoutError:
                    self.pgconn.finish()


class PatientPool(AsyncConnectionPool[PatientConnection]):
    """A pool that gets back every connection, even of those who are cancelled."""

    @override
    async def putconn(self, conn: PatientConnection) -> None:
        await undisturbed(super().putconn(conn))


async def undisturbed(doing: Coroutine[Any, Any, None]) -> None:
    """Do something to its end, however often whoever waits for it is cancelled."""
    loop = asyncio.get_running_loop()
    # What needs not wait is done at once, and costs no turn of the loop.
    task = asyncio.Task(doing, loop=loop, eager_start=True)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled
