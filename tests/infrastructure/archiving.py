"""A log with a month of old runs, and somebody who moves them to archives."""

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import msgspec

from application.ports import Attached, Content
from domain.kernel import ContentRef, Event
from domain.run.events import (
    RunClaimed,
    RunFailed,
    RunRequested,
    RunSucceeded,
    VertexBuilt,
)
from domain.thread.events import ThreadOpened, ThreadRenamed
from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.archive.archiver import Archiver
from infrastructure.archive.archives import Archive
from infrastructure.archive.leaving import Candidate
from infrastructure.blobs.local import LocalBlobs
from tests.contracts.event_stores import OWNER, because
from tests.infrastructure.evidence_room import KEYS, Room
from tests.projections.journal import RunsFacts, content

FLOW = UUID(int=2)
JANUARY = datetime(2025, 1, 10, tzinfo=UTC)
LONG_AFTER = datetime(2025, 6, 1, tzinfo=UTC)


def run_id(at: datetime = JANUARY) -> UUID:
    """Return a UUIDv7 of a moment."""
    random = uuid4().int & ((1 << 80) - 1)
    return UUID(int=int(at.timestamp() * 1000) << 80 | random)


def requested(*, request: ContentRef | None = None) -> RunRequested:
    return RunRequested(
        flow=FLOW,
        flow_name="Flow",
        owner=OWNER,
        session="s",
        trigger="run",
        request=request or content(),
    )


def built(vertex: str) -> VertexBuilt:
    return VertexBuilt(flow=FLOW, vertex=vertex, content=content())


class Store:
    """A room with an archiver, and what was put into the log of runs."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.in_use: set[UUID] = set()
        self.archiver = Archiver(
            room.database, room.store, room.blobs, KEYS.sign_history, self._in_use
        )

    async def _in_use(self, ids: Sequence[UUID]) -> set[UUID]:
        return self.in_use & set(ids)

    @property
    def archived(self) -> ArchivedEventStore:
        return ArchivedEventStore(self.room.store, self.room.database, self.room.blobs)

    async def tell(self, stream: UUID, *events: Event, contents: int = 0) -> None:
        facts = RunsFacts(stream)
        facts.say(*events)
        kept = [
            Content(value, OWNER, b"sealed")
            for event in events[:contents]
            for value in msgspec.structs.astuple(event)
            if isinstance(value, ContentRef)
        ]
        await self.room.store.save(
            cause=because(), anywhere=[facts], attached=Attached(contents=kept)
        )

    async def month(self, *, age: str = "2025-01-20") -> list[UUID]:
        """Fill January with three runs, beside a thread; seal it all."""
        await self.room.tamper(
            "CREATE TABLE es.runs_events_2025_01 PARTITION OF es.runs_events FOR VALUES"
            " FROM (es.first_id_at('2025-01-01Z')) TO (es.first_id_at('2025-02-01Z'))"
        )
        thread = UUID(int=0xFF << 120 | uuid4().int >> 8)
        runs = [run_id(JANUARY + timedelta(days=n)) for n in range(3)]
        await self.tell(thread, ThreadOpened(flow=FLOW, session="s", owner=OWNER))
        for run in runs:
            await self.tell(run, requested(), RunClaimed(worker="w", attempt=1))
            await self.tell(thread, ThreadRenamed(session="t"))
        await self.tell(runs[0], built("A"), RunSucceeded(outputs=content()))
        await self.tell(runs[1], RunFailed(reason="worker-lost"))
        await self.tell(runs[2], built("A"), built("B"), RunSucceeded())
        await self.age(age)
        await self.room.seal()
        return runs

    async def age(self, at: str) -> None:
        await self.room.tamper("UPDATE es.runs_events SET recorded_at = %s", at)

    async def candidate(self, before: datetime = LONG_AFTER) -> Candidate:
        [candidate] = await self.archiver.candidates(before=before)
        return candidate

    async def move(self) -> Archive:
        candidate = await self.candidate()
        assert candidate.stays is None
        archive = await self.archiver.archive(candidate, cause=because())
        assert archive is not None
        return archive

    def file(self, address: str) -> Path:
        assert isinstance(self.room.blobs, LocalBlobs)
        return self.room.blobs._path(address)

    async def rewrite(
        self, archive: Archive, change: Callable[[list[bytes]], list[bytes]]
    ) -> None:
        """Change the lines of an archive's first file of events."""
        [chunk] = (await self.archiver._shelf.manifest(archive)).chunks
        path = self.file(chunk.address)
        lines = gzip.decompress(path.read_bytes()).splitlines()
        path.write_bytes(gzip.compress(b"\n".join(change(lines))))
