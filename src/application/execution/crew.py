"""The runs that this process carries out: begun, held, stopped, and always ended."""

import asyncio
import logging
from collections.abc import Collection
from typing import Literal
from uuid import UUID

from application.execution.engine import Execution
from application.execution.journal import (
    CancelAskedError,
    Entry,
    Journal,
    RunTakenError,
)
from application.execution.keeper import INTERNAL, STOPPING, Keeper
from application.execution.script import Script, World
from application.execution.slots import Slot, Slots
from application.execution.speech import channel

log = logging.getLogger(__name__)

CANCELS = "runs:cancel"
"""The channel on which a server tells the others which run to cancel."""

type Ending = Literal["cancelled", "stopping", "lost"]


class Crew:
    """
    One task a run, from its slot to its end.

    Whatever becomes of the task, the run ends in the log, unless another worker
    has it by then.
    """

    def __init__(self, world: World, keeper: Keeper) -> None:
        limits = world.limits
        self.slots = Slots(running=limits.running, queued=limits.queued)
        self._world = world
        self._keeper = keeper
        self._signals = world.signals
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._journals: dict[UUID, Journal] = {}
        self._endings: dict[UUID, Ending] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self) -> None:
        """Hold leases from now on, and listen for cancels from other servers."""
        self._stopping = False
        self._background = [
            asyncio.create_task(self._keeper.beat(self.runs, self._lose)),
            asyncio.create_task(self._hear_cancels()),
        ]

    async def stop(self, *, grace: float) -> None:
        """Let runs finish within *grace* seconds, then end those that are left."""
        self._stopping = True
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=grace)
        while self._tasks:
            for run in list(self._tasks):
                self._interrupt(run, "stopping")
            await asyncio.wait(set(self._tasks.values()))
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def runs(self) -> Collection[UUID]:
        """Return the runs that go on or wait here now."""
        return frozenset(self._tasks)

    def task(self, run: UUID) -> asyncio.Task[None] | None:
        """Return the task of a run that is here."""
        return self._tasks.get(run)

    def begin(self, journal: Journal, script: Script, slot: Slot) -> None:
        """Carry a run out as soon as its slot is free."""
        run = journal.run_id
        task = asyncio.create_task(
            self._carry_out(journal, script, slot), name=f"run {run}"
        )
        self._tasks[run] = task
        self._journals[run] = journal
        if self._stopping:
            self._interrupt(run, "stopping")

    def cancel(self, run: UUID) -> bool:
        """Stop a run that is here, whatever it is waiting for; tell whether it is."""
        return self._interrupt(run, "cancelled")

    def _lose(self, run: UUID) -> None:
        journal = self._journals.get(run)
        if journal is None or journal.closing:  # its end gives the lease back
            return
        log.warning("run %s is another worker's now", run)
        self._interrupt(run, "lost")

    def _interrupt(self, run: UUID, ending: Ending) -> bool:
        task = self._tasks.get(run)
        if task is None:
            return False
        if run not in self._endings:
            self._endings[run] = ending
            task.cancel()
        return True

    async def _carry_out(self, journal: Journal, script: Script, slot: Slot) -> None:
        run = journal.run_id
        try:
            await self._to_the_end(journal, script, slot)
        except Exception:
            # The lease runs out, and whoever sweeps then ends the run.
            log.exception("run %s could not be ended", run)
        finally:
            self.slots.leave(slot)
            self._tasks.pop(run, None)
            self._journals.pop(run, None)
            self._endings.pop(run, None)
            await self._signals.forget(channel(run))

    async def _to_the_end(self, journal: Journal, script: Script, slot: Slot) -> None:
        try:
            if not slot.ready:
                await slot.free.wait()
                worker = self._keeper.worker
                await journal.write(Entry(decisions=(lambda run: run.claim(worker),)))
            await Execution(self._world, journal, script).carry_out()
        except asyncio.CancelledError:
            await self._interrupted(journal, script)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the run has to end
            await self._broken(journal, script, first_of(error))

    async def _broken(
        self, journal: Journal, script: Script, error: BaseException
    ) -> None:
        match error:
            case RunTakenError():
                log.info("run %s ended elsewhere", journal.run_id)
            case CancelAskedError():
                await self._cancelled(journal)
            case _:
                log.error("run %s met an error", journal.run_id, exc_info=error)
                await self._keeper.failed(journal, script.facts.owner, INTERNAL)

    async def _interrupted(self, journal: Journal, script: Script) -> None:
        match self._endings.get(journal.run_id, "stopping"):
            case "cancelled":
                await self._cancelled(journal)
            case "stopping":
                await self._keeper.failed(journal, script.facts.owner, STOPPING)
            case "lost":
                pass

    async def _cancelled(self, journal: Journal) -> None:
        await journal.end(Entry(decisions=(lambda run: run.cancel(),)))

    async def _hear_cancels(self) -> None:
        while True:
            try:
                async with self._signals.listen(CANCELS) as words:
                    async for word in words:
                        self.cancel(UUID(word.decode()))
            except Exception:
                log.warning("cancels of other servers cannot be heard", exc_info=True)
            await asyncio.sleep(1)


def first_of(error: BaseException) -> BaseException:
    """Return the first error inside a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
