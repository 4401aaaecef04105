"""Keeps the leases of this worker's runs, and ends runs whose worker is gone."""

import asyncio
import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import msgspec

from application.execution.journal import Entry, Journal
from application.ports import (
    SYSTEM,
    Attached,
    Cause,
    Contents,
    EventStore,
    Lease,
    Leases,
    StreamNotFoundError,
)
from domain.run.run import Run

log = logging.getLogger(__name__)

LOST = "worker-lost"
STOPPING = "server-stopping"
INTERNAL = "internal-error"

SENTENCES = {
    LOST: (
        "The server that carried out this run stopped in the middle of it. "
        "What it had done so far is kept; start the flow again."
    ),
    STOPPING: (
        "The server was stopped while this run was going on. "
        "What it had done so far is kept; start the flow again."
    ),
    INTERNAL: "Something went wrong in the server; its log tells what.",
}


def system_cause() -> Cause:
    """Return why the system itself appends something."""
    return Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())


class Keeper:
    """
    Renews what this worker holds, and sweeps what nobody holds any more.

    A lease is short, so a killed server's runs end soon; whoever sweeps first ends
    them, and the stream's versions see to it that they end once.
    """

    def __init__(
        self,
        store: EventStore,
        leases: Leases,
        contents: Contents,
        *,
        worker: str,
        now: Callable[[], datetime],
        seconds: float,
    ) -> None:
        self.worker = worker
        self._store = store
        self._leases = leases
        self._contents = contents
        self._now = now
        self._seconds = seconds

    def lease(self, run: UUID) -> Lease:
        """Return this worker's first hold on *run*."""
        return Lease(run, self.worker, 1, self._until())

    async def renew(self, runs: Collection[UUID]) -> set[UUID]:
        """Hold *runs* for longer; return those that are not ours any more."""
        # A copy: *runs* may be a live view, and those begun meanwhile are not lost.
        asked = set(runs)
        if not asked:
            return set()
        held = await self._leases.renew(self.worker, list(asked), until=self._until())
        return asked - held

    async def sweep(self, mine: Collection[UUID] = (), *, whole: bool = False) -> int:
        """
        End the runs of expired leases, but *mine*; return how many there were.

        With *whole*, every lease counts as expired: so at the start of a server that
        shares its store with no other.
        """
        until = self._now() + timedelta(seconds=2 * self._seconds if whole else 0)
        swept = 0
        seen: set[UUID] = set()
        while True:
            leases = await self._leases.expired(now=until)
            orphans = [one for one in leases if one.run not in {*mine, *seen}]
            if not orphans:
                return swept
            for lease in orphans:
                seen.add(lease.run)
                try:
                    await self._end(lease)
                except Exception:
                    # It must not keep the others from their end, nor us from starting.
                    log.exception("run %s could not be swept", lease.run)
                else:
                    swept += 1

    async def beat(
        self, runs: Callable[[], Collection[UUID]], lost: Callable[[UUID], None]
    ) -> None:
        """Renew and sweep for ever, four times within the life of a lease."""
        while True:
            await asyncio.sleep(self._seconds / 4)
            try:
                for run in await self.renew(runs()):
                    lost(run)
                await self.sweep(runs())
            except Exception:
                log.warning("leases could not be renewed or swept", exc_info=True)

    async def failed(self, journal: Journal, owner: UUID, reason: str) -> bool:
        """End a run as failed for *reason*, one of `SENTENCES`."""
        said = msgspec.json.encode({"message": SENTENCES[reason], "kind": "Error"})
        content = await self._contents.seal(owner, said)
        return await journal.end(
            Entry(
                decisions=(lambda run: run.fail(reason, content=content.ref),),
                contents=(content,),
            )
        )

    async def _end(self, lease: Lease) -> None:
        try:
            run = await self._store.load(Run, lease.run)
        except StreamNotFoundError:
            await self._release(lease.run)
            return
        if run.ended:
            await self._release(lease.run)
            return
        journal = Journal(
            self._store, run, worker=run.worker or lease.worker, cause=system_cause()
        )
        if run.cancel_requested:
            await journal.end(Entry(decisions=(lambda run: run.cancel(),)))
        else:
            await self.failed(journal, run.owner, LOST)
        log.info("run %s of worker %s was ended", lease.run, lease.worker)

    async def _release(self, run: UUID) -> None:
        await self._store.save(cause=system_cause(), attached=Attached(unleased=(run,)))

    def _until(self) -> datetime:
        return self._now() + timedelta(seconds=self._seconds)
