"""The one writer of a log in this process: while a commit is under way, saves queue."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic

import msgspec
import psycopg
from psycopg import AsyncConnection, errors
from psycopg.pq import TransactionStatus

from application.ports import OutcomeUnknownError, Position, Saved, StoreBusyError
from application.ports.refusals import StoreFullError
from domain.kernel import Log
from infrastructure.event_store import batch
from infrastructure.event_store.command import Command, Key
from infrastructure.event_store.statements import SESSION
from infrastructure.event_store.waiting import UnderWay, Waiting, WithdrawnError
from infrastructure.patience import cut_off
from infrastructure.postgres import connection_string

logger = logging.getLogger(__name__)

SCANNED = 4
"""How many batches' worth of the queue are searched for commands that can join."""
PATIENCE = 3
"""How often a batch is tried again when others were in its way."""
IN_THE_WAY = (errors.LockNotAvailable, errors.DeadlockDetected, errors.UniqueViolation)
"""Errors that say nothing against the commands themselves, so far."""
NOT_NOW = (
    errors.LockNotAvailable,
    errors.DiskFull,
    errors.OutOfMemory,
    errors.TooManyConnections,
    errors.ReadOnlySqlTransaction,
    errors.IoError,
)
"""Errors that every command would meet: no use in finding one that is to blame."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one writer takes on, and how long it waits (seconds)."""

    batch_commands: int = 256
    batch_bytes: int = 1024 * 1024
    queued_commands: int = 4096
    queued_bytes: int = 64 * 1024 * 1024
    lock_timeout: float = 2.0
    statement_timeout: float = 5.0
    give_up_after: float = 20.0

    @property
    def patience(self) -> float:
        """After what the server must have answered, were it only with a time-out."""
        return self.lock_timeout + self.statement_timeout + 1


class Writer:
    """Takes commands one by one and commits them many at a time."""

    def __init__(
        self,
        log: Log,
        dsn: str,
        *,
        limits: Limits,
        committed: Callable[[Position], None],
    ) -> None:
        self._log = log
        self._dsn = connection_string(dsn)
        self._limits = limits
        self._committed = committed
        self._under_way = UnderWay()
        self._queue: deque[Waiting] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._connection: batch.Connection | None = None
        self._backend: int | None = None

    async def start(self) -> None:
        """Connect, so that a wrong address is known now, and begin to write."""
        await self._connected()
        self._task = asyncio.create_task(self._write(), name=f"writer of {self._log}")

    async def stop(self) -> None:
        """Write what is queued, take nothing more, and disconnect."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        await self._disconnect()

    async def append(self, command: Command) -> Saved:
        """Queue *command* and wait until it is durable, or refused."""
        full = (
            len(self._queue) >= self._limits.queued_commands
            or self._queued_bytes >= self._limits.queued_bytes
        )
        if full or self._stopping or self._task is None:
            raise StoreBusyError
        waiting = self._under_way.add(command)
        self._queue.append(waiting)
        self._queued_bytes += command.size
        self._wake.set()
        try:
            return await waiting.saved
        except asyncio.CancelledError:
            self._under_way.remember(waiting)
            raise

    async def outcome(self, key: Key) -> Saved | None:
        """Tell what the commands of *key* came to here, once none is under way."""
        return await self._under_way.outcome(key)

    async def _write(self) -> None:
        while True:
            # Those who were just answered may have the next command ready.
            await asyncio.sleep(0)
            taken = self._take()
            if taken:
                await self._commit(taken)
            elif self._stopping:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take(self) -> list[Waiting]:
        """Choose the next batch: in order, small enough, and of disjoint commands."""
        taken: list[Waiting] = []
        passed: list[Waiting] = []
        touched: set[object] = set()
        size = 0
        limits = self._limits
        while self._queue and len(taken) < limits.batch_commands:
            waiting = self._queue[0]
            fits = not taken or size + waiting.command.size <= limits.batch_bytes
            if not fits or len(passed) >= SCANNED * limits.batch_commands:
                break
            self._queue.popleft()
            if waiting.left:
                self._queued_bytes -= waiting.command.size
                waiting.settle(WithdrawnError())
            elif touched.isdisjoint(waiting.touched):
                waiting.taken = True
                taken.append(waiting)
                size += waiting.command.size
            else:
                passed.append(waiting)
            touched |= waiting.touched
        self._queue.extendleft(reversed(passed))
        self._queued_bytes -= size
        return taken

    async def _commit(
        self, taken: Sequence[Waiting], *, until: float | None = None
    ) -> None:
        """See to it that everyone in *taken* is answered."""
        deadline = until or monotonic() + self._limits.give_up_after
        pause, tries = 0.01, 0
        while taken := _still_wanted(taken):
            try:
                await self._attempt(taken)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody waits
                lost = not await self._rolled_back(error)
                tries += not lost
                if lost and monotonic() < deadline:
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 1.0)
                elif lost or not isinstance(error, IN_THE_WAY) or tries >= PATIENCE:
                    await self._divide(taken, error, lost=lost, until=deadline)

    async def _divide(
        self, taken: Sequence[Waiting], error: Exception, *, lost: bool, until: float
    ) -> None:
        """Find the command that *error* is about, so that no other fails with it."""
        if lost or isinstance(error, NOT_NOW) or monotonic() > until:
            logger.error("The log %s cannot be written: %s", self._log, error)
            full = isinstance(error, errors.DiskFull)
            for waiting in taken:
                unknown = OutcomeUnknownError() if waiting.in_doubt else None
                refusal = StoreFullError() if full else StoreBusyError()
                waiting.settle(unknown or refusal)
        elif len(taken) == 1:
            slow = isinstance(error, errors.QueryCanceled)
            taken[0].settle(StoreBusyError() if slow else error)
        else:
            middle = len(taken) // 2
            await self._commit(taken[:middle], until=until)
            await self._commit(taken[middle:], until=until)

    async def _attempt(self, taken: Sequence[Waiting]) -> None:
        connection = await self._connected()
        doubtful = [waiting for waiting in taken if waiting.in_doubt]
        if doubtful:
            await self._resolve(connection, doubtful)
            taken = _still_wanted(taken)
        for waiting in taken:
            waiting.in_doubt = True
        commands = [waiting.command for waiting in taken]
        try:
            with cut_off(connection, after=self._limits.patience):
                outcomes = await batch.append(connection, self._log, commands)
        except Exception as error:
            if await self._rolled_back(error):
                for waiting in taken:
                    waiting.in_doubt = False
            raise
        for waiting, outcome in zip(taken, outcomes, strict=True):
            waiting.settle(outcome)
        self._tell(outcomes)

    async def _resolve(
        self, connection: batch.Connection, doubtful: Sequence[Waiting]
    ) -> None:
        commands = [waiting.command for waiting in doubtful]
        with cut_off(connection, after=self._limits.patience):
            stored = await batch.recognise(connection, self._log, commands)
        for number, waiting in enumerate(doubtful):
            waiting.in_doubt = False
            if number in stored:
                waiting.settle(stored[number])
        self._tell(list(stored.values()))

    def _tell(self, outcomes: Sequence[batch.Outcome]) -> None:
        last = Position()
        for outcome in outcomes:
            if isinstance(outcome, Saved) and not outcome.repeated:
                last = last.upto(outcome.position)
        if last != Position():
            self._committed(last)

    async def _rolled_back(self, error: Exception) -> bool:
        """Make the connection usable again, or tell that it was lost instead."""
        if self._connection is None:
            return False
        if not isinstance(error, errors.ReadOnlySqlTransaction):
            with (
                suppress(psycopg.Error),
                cut_off(self._connection, after=self._limits.patience),
            ):
                await self._connection.rollback()
                if self._connection.info.transaction_status == TransactionStatus.IDLE:
                    return True
        await self._disconnect()
        return False

    async def _connected(self) -> batch.Connection:
        if self._connection is None or self._connection.closed:
            connection: batch.Connection = await AsyncConnection.connect(
                self._dsn, autocommit=True
            )
            try:
                # Longer than the end of the predecessor is waited for.
                with cut_off(connection, after=self._limits.patience + 5):
                    await self._prepare(connection)
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def _prepare(self, connection: batch.Connection) -> None:
        limits = self._limits
        connection.prepare_threshold = 2
        await connection.execute(
            SESSION["session"],
            {
                "lock": f"{limits.lock_timeout * 1000:.0f}",
                "statement": f"{limits.statement_timeout * 1000:.0f}",
            },
        )
        if self._backend is not None:
            await connection.execute(SESSION["end_predecessor"], {"pid": self._backend})
        self._backend = connection.info.backend_pid

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def _still_wanted(taken: Sequence[Waiting]) -> list[Waiting]:
    """Return those of *taken* that are not settled, and let go of who has left."""
    for waiting in taken:
        if waiting.left and not waiting.in_doubt and waiting.outcome is None:
            waiting.settle(WithdrawnError())
    return [waiting for waiting in taken if waiting.outcome is None]
