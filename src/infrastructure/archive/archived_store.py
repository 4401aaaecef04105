"""The event store as it was before anything was archived: for reading alone."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, override
from uuid import UUID

from application.ports import (
    Attached,
    Blobs,
    Cause,
    EventStore,
    Position,
    Recorded,
    Saved,
    StreamNotFoundError,
)
from application.ports.refusals import UnreadableEventError
from domain.kernel import Aggregate, Log
from infrastructure.archive.archives import Archive, ArchivedStream
from infrastructure.archive.shelf import Shelf
from infrastructure.event_store.mapper import ErasedEvent, UnreadableEvent
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database

if TYPE_CHECKING:
    from infrastructure.event_store.stored_event import StoredEvent

PAGE = 2000


class ReadOnlyError(Exception):
    """History with its archives is for reading; write to the store itself."""


class ArchivedEventStore(EventStore):
    """
    Reads archived events and those of the log as one, in the order they had.

    Which archives there are is asked once: open another one for later archives.
    """

    def __init__(
        self, store: PostgresEventStore, database: Database, blobs: Blobs
    ) -> None:
        self._store = store
        self._database = database
        self._shelf = Shelf(blobs)
        self._archives: list[Archive] | None = None

    async def archives(self) -> list[Archive]:
        """Return all archives, the oldest first."""
        if self._archives is None:
            async with self._database.pool.connection() as connection:
                self._archives = await self._shelf.every(connection)
        return self._archives

    async def streams(
        self, archive: Archive, *, after: UUID | None = None, limit: int = 50
    ) -> list[ArchivedStream]:
        """Return what *archive* holds, by id, after *after*."""
        return await self._shelf.streams(archive, after=after, limit=limit)

    async def archived(self, stream: UUID) -> list[Recorded]:
        """Return the events of *stream* that lie in archives."""
        found: list[StoredEvent] = []
        async for events in self._shelf.stream(await self.archives(), stream):
            found += events
        found.sort(key=lambda event: event.version)
        return await self._store.opened("runs", found)

    @override
    async def load[A: Aggregate[Any]](
        self,
        kind: type[A],
        aggregate_id: UUID,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> A:
        aggregate = kind(aggregate_id)
        last = 0
        while page := await self.read_stream(
            kind.log, aggregate_id, after=last, limit=PAGE
        ):
            last = page[-1].version
            _replay(
                aggregate,
                [
                    one
                    for one in page
                    if (version is None or one.version <= version)
                    and (at is None or one.at <= at)
                ],
            )
        if aggregate.version == 0:
            raise StreamNotFoundError(aggregate_id)
        return aggregate

    @override
    async def load_each[A: Aggregate[Any]](
        self, kind: type[A], ids: Iterable[UUID]
    ) -> list[A]:
        return [await self.load(kind, one) for one in dict.fromkeys(ids)]

    @override
    async def read_stream(
        self, log: Log, stream: UUID, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        live = await self._store.read_stream(log, stream, after=after, limit=limit)
        if log != "runs":
            return live
        archived = await self.archived(stream)
        merged = [*(one for one in archived if one.version > after), *live]
        return sorted(merged, key=lambda one: one.version)[:limit]

    @override
    async def read_log(
        self, log: Log, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        live = await self._store.read_log(log, after=after, limit=limit)
        if log != "runs":
            return live
        found = await self._shelf.after(await self.archives(), after, limit=limit)
        archived = await self._store.opened("runs", found)
        return sorted([*archived, *live], key=lambda one: one.position)[:limit]

    @override
    async def head(self) -> Position:
        return await self._store.head()

    @override
    async def answered(self, cause: Cause) -> Saved | None:
        return await self._store.answered(cause)

    @override
    async def outcome(self, cause: Cause) -> Saved | None:
        return await self._store.outcome(cause)

    @override
    async def save(
        self,
        *aggregates: Aggregate[Any],
        cause: Cause,
        attached: Attached | None = None,
        answer: bytes = b"",
        anywhere: Sequence[Aggregate[Any]] = (),
    ) -> Saved:
        raise ReadOnlyError


def _replay(aggregate: Aggregate[Any], page: Sequence[Recorded]) -> None:
    """Advance as the store itself does: past what others said who were erased."""
    for recorded in page:
        event = recorded.event
        if isinstance(event, UnreadableEvent):
            raise UnreadableEventError(f"{event.event_tag}: {event.reason}")
        if not isinstance(event, ErasedEvent):
            aggregate.replay(event)
        elif not aggregate.version or event.subject == aggregate.subject:
            raise StreamNotFoundError(aggregate.id)
        aggregate.version = recorded.version
