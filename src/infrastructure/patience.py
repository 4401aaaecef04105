"""An end to waiting for a database that neither answers nor hangs up."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, override

from psycopg import AsyncConnection
from psycopg.abc import PQGen

LONGEST_WAIT = 150.0
"""Seconds for one answer: more than the server is given for the longest statements."""


@contextmanager
def cut_off(connection: AsyncConnection[Any], *, after: float) -> Iterator[None]:
    """
    Hang up if what is done within takes longer than *after* seconds.

    Time-outs of the server are of no use when it is the server that stands still.
    Cancelling is not either, for psycopg asks the server to cancel, and waits.
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
    """A connection that is lost when one answer takes longer than it may."""

    longest_wait = LONGEST_WAIT

    @override
    async def wait[T](
        self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None
    ) -> T:
        with cut_off(self, after=self.longest_wait):
            return await super().wait(gen, interval, timeout)
