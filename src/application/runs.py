"""Runs: asked for, carried out here or elsewhere, cancelled, and always ended."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from uuid import UUID, uuid4

import msgspec

from application.commands import answer_of, ids_in, part_of
from application.execution.crew import CANCELS, Crew
from application.execution.flows import FlowToRun
from application.execution.journal import Journal
from application.execution.keeper import Keeper
from application.execution.preparation import Preparation, Prepared
from application.execution.script import Limits, World
from application.execution.threads import Threads
from application.execution.variables import VariableValues
from application.ids import new_run_id
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
    Ownership,
    Position,
    Signals,
    StoreBusyError,
    Vault,
)
from application.ports.components import Components
from application.ports.files import OwnersFiles
from domain.kernel import ContentRef, DomainError, Json
from domain.run.asked import Asked
from domain.run.events import RunFailed, Trigger
from domain.run.graph import GraphError
from domain.run.run import Run, Status

__all__ = ["Ended", "Limits", "Requested", "Runs"]

log = logging.getLogger(__name__)

TRIES = 5
POLL = 0.2
INVALID = "invalid-flow"
"""Why a run failed that never began: its flow cannot be carried out as drawn."""


USUAL = Limits()


class Requested(msgspec.Struct, frozen=True):
    """A run that was asked for, and where that lies in the log."""

    run: UUID
    position: Position


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended: ``outputs`` or ``failure`` name the content that tells more."""

    status: Status
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
        files: OwnersFiles,
        leases: Leases,
        ownership: Ownership,
        claims: Claims,
        limits: Limits = USUAL,
        worker: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._preparation = Preparation(contents, vault)
        self._world = World(
            store=store,
            contents=contents,
            components=components,
            signals=signals,
            history=history,
            variables=variables,
            files=files,
            threads=Threads(store, claims),
            claims=claims,
            now=now,
            limits=limits,
        )
        held = partial(Keeper, store, leases, contents, now=now, seconds=limits.lease)
        self._keeper = held(worker=worker or f"worker-{uuid4()}")
        self._crew = Crew(self._world, self._keeper)
        self._recording: set[asyncio.Task[Requested]] = set()
        self._cancelling: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def start(self, *, alone: bool = False) -> None:
        """
        End what a killed server left, then keep leases and listen for cancels.

        *alone* says that no other server shares this store: then nothing that was
        running before can still be.
        """
        await self._keeper.sweep(whole=alone)
        await self._crew.start()
        self._stopping = False

    async def stop(self) -> None:
        """Take no more runs; give those that go on a moment, then end them."""
        self._stopping = True
        await asyncio.gather(*self._recording, return_exceptions=True)
        await self._crew.stop(grace=self._world.limits.grace)
        await asyncio.gather(*self._cancelling, return_exceptions=True)

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
        recording = (
            self._refused(prepared, prepared.refusal, trigger=trigger, cause=cause)
            if prepared.refusal
            else self._accepted(prepared, trigger=trigger, cause=cause)
        )
        # A client that hangs up now must not leave a run that nobody carries out.
        task = asyncio.create_task(recording)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)
        return await asyncio.shield(task)

    async def cancel(self, run_id: UUID, *, cause: Cause) -> bool:
        """
        Have a run stop; tell whether it has, or had ended before.

        The request is durable, so a run on another server stops as well.
        """
        await self.require(cause.actor, run_id)
        if not await self._ask_to_cancel(run_id, cause):
            return True
        if not self._crew.cancel(run_id):
            await self._world.signals.say(CANCELS, str(run_id).encode())
        return await self._ends_within(run_id, self._world.limits.cancelling)

    def abandon(self, run_id: UUID, *, cause: Cause) -> None:
        """Cancel a run whose only reader has gone, in the background."""
        cancelling = asyncio.create_task(self._cancel_quietly(run_id, cause))
        self._cancelling.add(cancelling)
        cancelling.add_done_callback(self._cancelling.discard)

    async def require(self, actor: Actor, run_id: UUID) -> None:
        """Raise `NotFoundError` unless the run is *actor*'s."""
        await self._permissions.require(actor, "run", run_id)

    async def get(self, actor: Actor, run_id: UUID) -> Run:
        """Return *actor*'s run as it stands."""
        await self.require(actor, run_id)
        return await self._store.load(Run, run_id)

    async def wait(self, run_id: UUID) -> Ended:
        """Wait until a run has ended, here or elsewhere; return how."""
        journal = await self._crew.ended(run_id)
        if journal is not None and (known := journal.ended) and known.outputs:
            return Ended(
                status=known.status, position=journal.position, outputs=known.outputs
            )
        while True:
            run = await self._store.load(Run, run_id)
            if run.ended:
                return await self._ended(run)
            await asyncio.sleep(POLL)

    @property
    def going_on(self) -> int:
        """How many runs this process carries out or has queued."""
        return len(self._crew.runs())

    async def _refused(
        self, prepared: Prepared, error: GraphError, *, trigger: Trigger, cause: Cause
    ) -> Requested:
        run = prepared.requested(trigger)
        said = msgspec.json.encode({"message": error.text, "kind": error.slug})
        content = await self._world.contents.seal(prepared.facts.owner, said)
        run.fail(INVALID, content=content.ref)
        attached = prepared.attached(contents=(content,))
        return await self._save(run, attached, cause)

    async def _accepted(
        self, prepared: Prepared, *, trigger: Trigger, cause: Cause
    ) -> Requested:
        slot = self._crew.slots.take()
        begun = False
        try:
            run = prepared.requested(trigger)
            if slot.ready:
                run.claim(self._keeper.worker)
            attached = prepared.attached(leases=(self._keeper.lease(run.id),))
            requested = await self._save(run, attached, cause)
            # Another run answers where the same request came twice at once.
            if requested.run == run.id and prepared.script is not None:
                journal = Journal(
                    self._store, run, worker=self._keeper.worker, cause=cause
                )
                self._crew.begin(journal, prepared.script, slot)
                begun = True
            return requested
        finally:
            if not begun:
                self._crew.slots.leave(slot)

    async def _save(self, run: Run, attached: Attached, cause: Cause) -> Requested:
        saved = await self._store.save(
            run, cause=cause, attached=attached, answer=answer_of(run.id)
        )
        found = ids_in(saved.answer)[0] if saved.repeated else run.id
        return Requested(found, saved.position)

    async def _ask_to_cancel(self, run_id: UUID, cause: Cause) -> bool:
        """Record that *run_id* shall stop; tell whether there is anything to stop."""
        for _ in range(TRIES):
            run = await self._store.load(Run, run_id)
            if run.ended:
                return False
            if run.cancel_requested:
                return True
            run.request_cancel()
            try:
                await self._store.save(run, cause=cause)
            except ConcurrencyError:  # it goes on all the while
                continue
            else:
                return True
        raise ConcurrencyError(run_id)

    async def _cancel_quietly(self, run_id: UUID, cause: Cause) -> None:
        step = part_of(cause, "abandoned")
        try:
            await self.cancel(run_id, cause=step)
        except DomainError:
            log.info("run %s could not be cancelled", run_id, exc_info=True)

    async def _ends_within(self, run_id: UUID, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.wait(run_id)
        except TimeoutError:
            return False
        return True

    async def _ended(self, run: Run) -> Ended:
        last = await self._store.read_stream("runs", run.id, after=run.version - 1)
        event = last[-1].event
        return Ended(
            status=run.status,
            position=Position(runs=last[-1].position),
            outputs=run.outputs,
            reason=run.reason,
            failure=event.content if isinstance(event, RunFailed) else None,
        )
