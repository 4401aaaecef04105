"""Departures: what visitors of public flows left is removed once they stay away."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID, uuid4

import msgspec

from application.commands import part_of
from application.messages import Messages
from application.ports import Attached, Cause, Contents, EventStore
from domain.kernel import ContentRef, Event
from domain.operation.events import VisitsRemoved
from domain.operation.operation import Operation

BATCH: Final = 50
PAGE: Final = 1000


class Visit(msgspec.Struct, frozen=True):
    """What a visitor has of a flow, under the id it has for them, and its runs."""

    flow: UUID
    runs: tuple[UUID, ...]


class VisitsOver(Protocol):
    """Which visits are over."""

    async def visits_over(self, before: datetime, *, limit: int) -> list[Visit]:
        """Return visits whose last run has ended, and was asked for before then."""
        ...


class Departures:
    """Forgets visits: their messages, results and inputs; that they were stays."""

    def __init__(
        self,
        store: EventStore,
        *,
        over: VisitsOver,
        messages: Messages,
        contents: Contents,
    ) -> None:
        self._store = store
        self._over = over
        self._messages = messages
        self._contents = contents

    async def forget(self, *, before: datetime, cause: Cause) -> int:
        """
        Forget visits without a run since *before*; return how many there were.

        A batch at a time: what is left over is for the next time.
        """
        visits = await self._over.visits_over(before, limit=BATCH)
        for visit in visits:
            await self._forget(visit, part_of(cause, str(visit.flow)))
        return len(visits)

    async def _forget(self, visit: Visit, cause: Cause) -> None:
        await self._messages.forget_flow(visit.flow, cause=cause)
        contents = [ref for run in visit.runs for ref in await self._contents_of(run)]
        blobs = await self._contents.blobs_of(contents)
        done = Operation.of(uuid4(), VisitsRemoved(flows=(visit.flow,)))
        await self._store.save(
            done,
            cause=part_of(cause, "forgotten"),
            attached=Attached(forgotten=tuple(contents)),
        )
        await self._contents.discard(blobs)

    async def _contents_of(self, run: UUID) -> list[UUID]:
        found: dict[UUID, None] = {}
        after = 0
        while page := await self._store.read_stream(
            "runs", run, after=after, limit=PAGE
        ):
            after = page[-1].version
            for recorded in page:
                found |= dict.fromkeys(_contents_in(recorded.event))
        return list(found)


def _contents_in(event: Event) -> Sequence[UUID]:
    held = (getattr(event, field) for field in event.__struct_fields__)
    return [one.id for one in held if isinstance(one, ContentRef)]
