"""Runs: asked for, carried out here or elsewhere, cancelled, and always ended."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID, uuid4

import msgspec

from application.commands import answer_of, ids_in
from application.execution.engine import Execution
from application.execution.flows import FlowToRun
from application.execution.inputs import Asked
from application.execution.journal import (
    CancelAskedError,
    Entry,
    Journal,
    RunTakenError,
)
from application.execution.keeper import INTERNAL, STOPPING, Keeper
from application.execution.preparation import Preparation, Prepared
from application.execution.script import Script, World
from application.execution.slots import Slot, Slots
from application.execution.speech import channel
from application.execution.threads import Threads
from application.execution.variables import VariableValues
from application.ids import new_id, new_run_id
from application.permissions import Permissions
from application.ports import (
    Actor,
    Attached,
    Cause,
    Claims,
    ConcurrencyError,
    Contents,
    EventStore,
    Leases,
    MessageHistory,
    Owned,
    Ownership,
    Position,
    Signals,
    StoreBusyError,
    Vault,
)
from application.ports.components import Components
from domain.kernel import ContentRef, Json
from domain.run.events import RunFailed, Trigger
from domain.run.run import Run, RunEndedError

log = logging.getLogger(__name__)

CANCELS = "runs:cancel"
"""The channel on which a server tells the others which run to cancel."""
TRIES = 5
POLL = 0.2

type Ending = Literal["cancelled", "stopping", "lost"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much runs at once, and for how long; seconds throughout."""

    running: int = 64
    queued: int = 1000
    vertices_at_once: int = 16
    vertex_timeout: float = 600.0
    lease: float = 20.0
    grace: float = 10.0
    cancelling: float = 2.0


class Requested(msgspec.Struct, frozen=True):
    """A run that was asked for, and where that lies in the log."""

    run: UUID
    position: Position


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: ``outputs`` or ``failure`` name the content that tells more."""

    status: Literal["succeeded", "failed", "cancelled"]
    position: Position
    outputs: ContentRef | None = None
    reason: str | None = None
    failure: ContentRef | None = None


class Runs:
    """
    Starts runs, carries them out, and sees to it that every one of them ends.

    A request is durable before it is answered. What this process carries out it
    holds by leases; what a killed process held, another one ends.
    """

    def __init__(
        self,
        *,
        store: EventStore,
        contents: Contents,
        vault: Vault,
        components: Components,
        signals: Signals,
        history: MessageHistory,
        variables: VariableValues,
        leases: Leases,
        ownership: Ownership,
        claims: Claims,
        limits: Limits | None = None,
        worker: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        limits = limits or Limits()
        worker = worker or f"worker-{uuid4()}"
        self._store = store
        self._signals = signals
        self._permissions = Permissions(ownership)
        self._limits = limits
        self._preparation = Preparation(contents, vault)
        self._slots = Slots(running=limits.running, queued=limits.queued)
        self._keeper = Keeper(
            store, leases, contents, worker=worker, now=now, seconds=limits.lease
        )
        self._world = World(
            store=store,
            contents=contents,
            components=components,
            signals=signals,
            history=history,
            variables=variables,
            threads=Threads(store, claims),
            now=now,
            new_id=new_id,
            vertex_timeout=limits.vertex_timeout,
            vertices_at_once=limits.vertices_at_once,
        )
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._endings: dict[UUID, Ending] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self, *, alone: bool = False) -> None:
        """
        End what a killed server left, then keep leases and listen for cancels.

        *alone* says that no other server shares this store: then nothing that was
        running before can still be.
        """
        self._stopping = False
        await self._keeper.sweep(whole=alone)
        self._background = [
            asyncio.create_task(self._keeper.beat(lambda: self._tasks.keys(), self._lost)),
            asyncio.create_task(self._hear_cancels()),
        ]

    async def stop(self) -> None:
        """Take no more runs; give those that go on a moment, then end them."""
        self._stopping = True
        going = set(self._tasks.values())
        if going:
            await asyncio.wait(going, timeout=self._limits.grace)
        for run, task in list(self._tasks.items()):
            self._endings.setdefault(run, "stopping")
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    async def request(
        self,
        flow: FlowToRun,
        asked: Asked,
        *,
        trigger: Trigger,
        cause: Cause,
        document: Json | None = None,
    ) -> Requested:
        """
        Ask for *flow* to be executed; return once that is durable.

        *document* runs in the flow's place, unsaved. A flow that cannot be carried
        out is a run too, which has failed already.
        """
        before = await self._store.answered(cause)
        if before is not None:
            return Requested(ids_in(before.answer)[0], before.position)
        if self._stopping:
            raise StoreBusyError("it is being stopped")
        prepared = await self._preparation.of(
            new_run_id(), flow, asked, document=document, cause=cause
        )
        if prepared.script is None:
            return await self._refused(prepared, trigger, cause)
        return await self._accepted(prepared, prepared.script, trigger, cause)

    async def cancel(self, run_id: UUID, *, cause: Cause) -> bool:
        """
        Have a run stop; tell whether it has, or had ended before.

        The request is durable, so a run on another server stops as well.
        """
        await self._permissions.require(cause.actor, "run", run_id)
        if not await self._ask_to_cancel(run_id, cause):
            return True
        task = self._tasks.get(run_id)
        if task is None:
            await self._signals.say(CANCELS, str(run_id).encode())
        else:
            self._cancel_here(run_id)
        return await self._ends_within(run_id, self._limits.cancelling)

    async def get(self, actor: Actor, run_id: UUID) -> Run:
        """Return *actor*'s run as it stands."""
        await self._permissions.require(actor, "run", run_id)
        return await self._store.load(Run, run_id)

    async def wait(self, run_id: UUID) -> Ended:
        """Wait until a run has ended, here or elsewhere; return how."""
        task = self._tasks.get(run_id)
        if task is not None:
            await asyncio.wait({task})
        while not (run := await self._store.load(Run, run_id)).ended:
            await asyncio.sleep(POLL)
        last = await self._store.read_stream("runs", run_id, after=run.version - 1)
        event = last[-1].event
        return Ended(
            status=run.status,  # type: ignore[arg-type]  # it has ended
            position=Position(runs=last[-1].position),
            outputs=run.outputs,
            reason=run.reason,
            failure=event.content if isinstance(event, RunFailed) else None,
        )

    @property
    def going_on(self) -> int:
        """How many runs this process carries out or has queued."""
        return len(self._tasks)

    async def _refused(
        self, prepared: Prepared, trigger: Trigger, cause: Cause
    ) -> Requested:
        run = prepared.requested(trigger)
        content = await self._preparation.refusal(prepared)
        run.fail("invalid-flow", content=content.ref)
        return await self._record(run, prepared, cause, contents=(content,), held=False)

    async def _accepted(
        self, prepared: Prepared, script: Script, trigger: Trigger, cause: Cause
    ) -> Requested:
        slot = self._slots.take()
        try:
            run = prepared.requested(trigger)
            if slot.ready:
                run.claim(self._keeper.worker)
            requested = await self._record(run, prepared, cause, held=True)
        except BaseException:
            self._slots.leave(slot)
            raise
        if requested.run != run.id:  # a repeat that came in at the same moment
            self._slots.leave(slot)
            return requested
        journal = Journal(
            self._store, run, worker=self._keeper.worker, cause=cause
        )
        task = asyncio.create_task(self._carry_out(journal, script, slot))
        self._tasks[run.id] = task
        return requested
