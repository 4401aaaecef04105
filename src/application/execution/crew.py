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

type Ending = Literal["cancelled", "stopping", "lost", "broken"]


class Going:
    """A run that is here: its task, and why it is to stop, if it is."""

    def __init__(self, journal: Journal, script: Script, slot: Slot) -> None:
        self.journal = journal
        self.script = script
        self.slot = slot
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self.ending: Ending | None = None

    def interrupt(self, ending: Ending) -> None:
        """Stop it because of *ending*, unless something has before."""
        if self.ending is None:
            self.ending = ending
            # A task cancelled before its first step would never take one, and so
            # not end its run; it looks at `ending` when it begins.
            if self.task is not None and self.begun:
                self.task.cancel()


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
        self._going: dict[UUID, Going] = {}
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
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=grace)
        while tasks := self._tasks():
            for going in self._going.values():
                going.interrupt("stopping")
            await asyncio.wait(tasks)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def runs(self) -> Collection[UUID]:
        """Return the runs that go on or wait here now."""
        return frozenset(self._going)

    async def ended(self, run: UUID) -> Journal | None:
        """Wait for a run that is here, and return what was written of it."""
        going = self._going.get(run)
        if going is None or going.task is None:
            return None
        await asyncio.wait({going.task})
        return going.journal

    def begin(self, journal: Journal, script: Script, slot: Slot) -> None:
        """Carry a run out as soon as its slot is free."""
        run = journal.run_id
        going = self._going[run] = Going(journal, script, slot)
        going.task = asyncio.create_task(self._carry_out(going), name=f"run {run}")
        if self._stopping:
            going.interrupt("stopping")

    def cancel(self, run: UUID) -> bool:
        """Stop a run that is here, whatever it is waiting for; tell whether it is."""
        going = self._going.get(run)
        if going is not None:
            going.interrupt("cancelled")
        return going is not None

    def _lose(self, run: UUID) -> None:
        going = self._going.get(run)
        if going is None or going.journal.closing:  # its end gives the lease back
            return
        log.warning("run %s is another worker's now", run)
        going.interrupt("lost")

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [one.task for one in self._going.values() if one.task is not None]

    async def _carry_out(self, going: Going) -> None:
        run = going.journal.run_id
        going.begun = True
        try:
            await self._to_the_end(going)
        except Exception:
            # The lease runs out, and whoever sweeps then ends the run.
            log.exception("run %s could not be ended", run)
        finally:
            self.slots.leave(going.slot)
            self._going.pop(run, None)
            await self._signals.forget(channel(run))

    async def _to_the_end(self, going: Going) -> None:
        journal = going.journal
        try:
            if going.ending is not None:
                await self._interrupted(going)
                return
            await going.slot.free.wait()
            if not journal.claimed:
                worker = self._keeper.worker
                await journal.write(Entry(decisions=(lambda run: run.claim(worker),)))
            await Execution(self._world, journal, going.script).carry_out()
        except asyncio.CancelledError:
            await self._interrupted(going)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the run has to end
            going.ending = going.ending or "broken"  # it is not to be cut short
            await self._broken(going, first_of(error))

    async def _broken(self, going: Going, error: BaseException) -> None:
        journal = going.journal
        match error:
            case RunTakenError():
                log.info("run %s ended elsewhere", journal.run_id)
            case CancelAskedError():
                await self._cancelled(journal)
            case _:
                log.error("run %s met an error", journal.run_id, exc_info=error)
                await self._keeper.failed(journal, going.script.facts.owner, INTERNAL)

    async def _interrupted(self, going: Going) -> None:
        journal = going.journal
        match going.ending or "stopping":
            case "cancelled":
                await self._cancelled(journal)
            case "stopping":
                await self._keeper.failed(journal, going.script.facts.owner, STOPPING)
            case "lost" | "broken":
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
