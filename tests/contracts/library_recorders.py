"""Our event store as the ``eventsourcing`` library's recorders: for its own tests."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, override
from uuid import UUID, uuid4

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    InterfaceError,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from psycopg import errors

from application.ports import SYSTEM, Cause, ConcurrencyError, Position, Recorded
from domain.kernel import Aggregate, Event, Log
from infrastructure.event_store.mapper import Encoded, MsgspecMapper
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from projections import checkpoints

PAGE = 1000
VERSION = 1

type Store = PostgresEventStore | MemoryEventStore


class Given(Event, frozen=True, kw_only=True, tag="tests.given"):
    """An event of which the library's tests give the topic and the bytes."""

    topic: str
    state: bytes


class AsGiven(MsgspecMapper):
    """Stores what it is given under the topic that it is given."""

    @override
    def encode(self, event: Event) -> Encoded:
        assert isinstance(event, Given)
        return Encoded(event.topic, 1, event.state)

    @override
    def decode(self, tag: str, schema_version: int, state: bytes) -> Event:
        return Given(topic=tag, state=state)


class Stream(Aggregate[Event]):
    """What was given of one stream, after what it is believed to hold."""

    def __init__(self, stream: UUID, *, after: int) -> None:
        super().__init__(stream)
        self.version = after

    def give(self, event: Event) -> None:
        self._record(event)

    @override
    def _apply(self, event: Event) -> None:
        pass


class StreamInRuns(Stream):
    log: ClassVar[Log] = "runs"


KINDS: dict[Log, type[Stream]] = {"core": Stream, "runs": StreamInRuns}


class Background:
    """
    An event loop in a thread of its own, for those who cannot await.

    Some of the library's cases leave threads behind that read on for a moment: they
    get an error once it is closed, and nobody waits for ever.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._open = threading.Lock()
        self._closed = False

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        with self._open:
            if self._closed:
                work.close()
                raise InterfaceError("closed")
            begun = asyncio.run_coroutine_threadsafe(work, self._loop)
        return begun.result()

    def close(self) -> None:
        with self._open:
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._last(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _last(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


class StreamRecorder(AggregateRecorder):
    """
    Our store, to those who know it by streams.

    The library lets each event say its version and counts from where it likes; we
    count by ourselves, from one. So its zero is our one, and versions that do not
    follow each other are refused here, for our store cannot even be asked.
    """

    def __init__(self, background: Background, store: Store, *, log: Log) -> None:
        self._background = background
        self._store = store
        self._log: Log = log

    @override
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        self._insert(stored_events)
        return None

    def _insert(self, stored_events: Sequence[StoredEvent]) -> Position:
        streams: dict[UUID, Stream] = {}
        for one in stored_events:
            of = _uuid(one.originator_id)
            after = one.originator_version
            stream = streams.setdefault(of, KINDS[self._log](of, after=after))
            if stream.version != after:
                raise IntegrityError((of, after))
            stream.give(Given(topic=one.topic, state=one.state))
        cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
        save = self._store.save(*streams.values(), cause=cause)
        try:
            return self._background.run(save).position
        except ConcurrencyError as error:
            raise IntegrityError(str(error)) from error

    @override
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        after = 0 if gt is None else gt + 1
        found = self._stream(_uuid(originator_id), after=after, limit=10_000)
        events = [
            _stored(one) for one in found if lte is None or one.version <= lte + 1
        ]
        return (events[::-1] if desc else events)[:limit]

    def _stream(self, of: UUID, *, after: int, limit: int) -> list[Recorded]:
        read = self._store.read_stream(self._log, of, after=after, limit=limit)
        return self._background.run(read)


class LogRecorder(StreamRecorder, ApplicationRecorder):
    """Our store, to those who know its log too."""

    @override
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        self._insert(stored_events)
        by_version: dict[tuple[UUID, int], int] = {}
        for of in {_uuid(one.originator_id) for one in stored_events}:
            first = min(
                one.originator_version
                for one in stored_events
                if one.originator_id == of
            )
            stream = self._stream(of, after=first, limit=len(stored_events))
            by_version |= {(of, one.version - 1): one.position for one in stream}
        return [
            by_version[_uuid(one.originator_id), one.originator_version]
            for one in stored_events
        ]

    @override
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = (start or 0) - (inclusive_of_start and start is not None)
        found: list[Notification] = []
        while len(found) < limit:
            page = self._background.run(
                self._store.read_log(self._log, after=after, limit=PAGE)
            )
            found += [
                _notification(one)
                for one in page
                if (stop is None or one.position <= stop)
                and (not topics or _stored(one).topic in topics)
            ]
            if len(page) < PAGE:
                break
            after = page[-1].position
        return found[:limit]

    @override
    def max_notification_id(self) -> int | None:
        head = self._background.run(self._store.head())
        return (head.core if self._log == "core" else head.runs) or None

    @override
    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return Following(self, self._store, gt=gt, topics=topics)


class Following(ListenNotifySubscription[LogRecorder]):
    """The library's subscription, woken by our store's news."""

    def __init__(
        self,
        recorder: LogRecorder,
        store: Store,
        *,
        gt: int | None,
        topics: Sequence[str],
    ) -> None:
        super().__init__(recorder, gt=gt, topics=topics)
        self._store = store
        store.on_append.append(self._hear)

    def _hear(self, *_: object) -> None:
        self._has_been_notified.set()

    @override
    def stop(self) -> None:
        super().stop()
        if self._hear in self._store.on_append:
            self._store.on_append.remove(self._hear)


class CheckpointRecorder(TrackingRecorder):
    """
    Our checkpoints, to those who know the library's tracking.

    A projector moves its checkpoint from where it believes it to be. Who comes with
    an old event believes in an old place, and is fenced.
    """

    def __init__(self, background: Background, database: Database) -> None:
        self._background = background
        self._database = database
        self._believed: dict[str, list[int]] = {}

    @override
    def insert_tracking(self, tracking: Tracking) -> None:
        log, position = tracking.application_name, tracking.notification_id
        places = self._believed.setdefault(log, [0])
        believed = max(place for place in places if place < position)
        try:
            self._background.run(self._move(log, position, believed))
        except errors.DivisionByZero as fenced:
            raise IntegrityError(tracking) from fenced
        places.append(position)

    @override
    def max_tracking_id(self, application_name: str) -> int | None:
        positions = self._background.run(self._positions())
        return positions.get(application_name)

    async def _move(self, log: Any, position: int, believed: int) -> None:
        async with self._database.pool.connection() as connection:
            await checkpoints.begin(connection, "tracked", VERSION, log)
            await connection.execute(
                checkpoints.FENCE,
                (position, "tracked", VERSION, log, believed, 0, "building"),
            )

    async def _positions(self) -> dict[str, int]:
        async with self._database.pool.connection() as connection:
            found = await checkpoints.standing(connection, "tracked", VERSION)
            return {str(log): place for log, place in found.positions.items()}


@contextmanager
def on_postgres(dsn: str) -> Iterator[tuple[Background, Database, PostgresEventStore]]:
    """Open a store of given events in a background of its own."""
    background = Background()
    try:
        database = background.run(Database.open(dsn, pool_size=4))
        try:
            store = PostgresEventStore(database, mapper=AsGiven())
            background.run(store.start())
            try:
                yield background, database, store
            finally:
                background.run(store.stop())
        finally:
            background.run(database.close())
    finally:
        background.close()


@contextmanager
def in_memory() -> Iterator[tuple[Background, MemoryEventStore]]:
    """Open a store of given events that is gone afterwards."""
    background = Background()
    try:
        yield background, MemoryEventStore(AsGiven())
    finally:
        background.close()


def _uuid(of: UUID | str) -> UUID:
    assert isinstance(of, UUID)
    return of


def _given(recorded: Recorded) -> Given:
    assert isinstance(recorded.event, Given)
    return recorded.event


def _stored(recorded: Recorded) -> StoredEvent:
    given = _given(recorded)
    return StoredEvent(recorded.stream, recorded.version - 1, given.topic, given.state)


def _notification(recorded: Recorded) -> Notification:
    given = _given(recorded)
    return Notification(
        originator_id=recorded.stream,
        originator_version=recorded.version - 1,
        topic=given.topic,
        state=given.state,
        id=recorded.position,
    )
