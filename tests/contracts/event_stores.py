"""A small aggregate for each log, and the event stores it is kept in."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar, override
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection

from application.ports import (
    SYSTEM,
    Actor,
    Canvas,
    Cause,
    Claims,
    Content,
    ContentMissingError,
    EventStore,
    Leases,
    Ownership,
    Sealed,
)
from domain.flow.events import FlowDeleted
from domain.kernel import Aggregate, ContentRef, Event, Log
from domain.project.events import ProjectOpened, ProjectRenamed
from domain.thread.events import ThreadOpened, ThreadRenamed
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.canvas import PostgresCanvas
from infrastructure.event_store.claims import PostgresClaims
from infrastructure.event_store.leases import PostgresLeases
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.ownership import PostgresOwnership
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys, SubjectKeys

KEYRING = Keyring("a secret that only tests know, long enough")
OWNER = UUID(int=7)
SOMEONE = Actor(user=UUID(int=8))


class Named(Aggregate[Event]):
    """It has names, one after another, and lives in the core log."""

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.names: list[str] = []

    @classmethod
    def called(cls, *names: str, at: UUID | None = None) -> "Named":
        named = cls(at or uuid4())
        for name in names:
            named.call(name)
        return named

    def call(self, name: str) -> None:
        self._record(
            ProjectRenamed(name=name)
            if self.version
            else ProjectOpened(owner=OWNER, name=name)
        )

    @override
    def _apply(self, event: Event) -> None:
        if isinstance(event, ProjectOpened | ProjectRenamed):
            self.names.append(event.name)


class Talk(Aggregate[Event]):
    """The same in the log of runs."""

    log: ClassVar[Log] = "runs"

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.names: list[str] = []

    @classmethod
    def opened(cls, at: UUID | None = None) -> "Talk":
        talk = cls(at or uuid4())
        talk._record(ThreadOpened(flow=OWNER, session="first", owner=OWNER))
        return talk

    def say(self, word: str) -> None:
        self._record(ThreadRenamed(session=word))

    @override
    def _apply(self, event: Event) -> None:
        if isinstance(event, ThreadOpened | ThreadRenamed):
            self.names.append(event.session)


class Diary(Named):
    """It has names too, and belongs to somebody."""

    def __init__(self, aggregate_id: UUID, *, of: UUID = OWNER) -> None:
        super().__init__(aggregate_id)
        self.of = of

    @property
    @override
    def subject(self) -> UUID:
        return self.of

    @classmethod
    def kept(cls, *names: str, of: UUID = OWNER) -> "Diary":
        diary = cls(uuid4(), of=of)
        for name in names:
            diary.call(name)
        return diary

    def burn(self) -> None:
        self._record(FlowDeleted())

    @override
    def _apply(self, event: Event) -> None:
        super()._apply(event)
        if isinstance(event, ProjectOpened):
            self.of = event.owner

    @override
    def call(self, name: str) -> None:
        self._record(
            ProjectRenamed(name=name)
            if self.version
            else ProjectOpened(owner=self.of, name=name)
        )


class Letters(Talk):
    """What somebody says, and whose it is before it was ever loaded."""

    @property
    @override
    def subject(self) -> UUID:
        return OWNER


class Stored(msgspec.Struct, frozen=True):
    """
    An event store and all that is kept beside it.

    ``cut`` takes an event out of a stream of the runs log, as a compaction does.
    """

    store: EventStore
    claims: Claims
    ownership: Ownership
    leases: Leases
    canvas: Canvas
    contents: Callable[[], Awaitable[dict[UUID, Content]]]
    secrets: Callable[[], Awaitable[dict[UUID, Sealed]]]
    cut: Callable[[UUID, int], Awaitable[None]]
    keys: SubjectKeys
    erase: Callable[[UUID], Awaitable[None]]
    states: Callable[[], Awaitable[list[bytes]]]
    heard: list[tuple[str, int]]


def because(
    *,
    actor: Actor = SYSTEM,
    key: UUID | None = None,
    request: bytes = b"",
) -> Cause:
    """Return a cause; with a *key* the command is idempotent."""
    return Cause(
        actor=actor,
        command_id=key or uuid4(),
        correlation_id=uuid4(),
        idempotent=key is not None,
        request_hash=request,
    )


def content(subject: UUID = OWNER, *, sealed: bytes = b"\x00sealed\xff") -> Content:
    return Content(ContentRef(uuid4(), "d1ge57", len(sealed)), subject, sealed)


def in_memory(store: MemoryEventStore) -> Stored:
    async def contents() -> dict[UUID, Content]:
        return dict(store.content_rows)

    async def secrets() -> dict[UUID, Sealed]:
        return dict(store.vault_rows)

    async def cut(stream: UUID, version: int) -> None:
        rows = store._streams["runs", stream]
        rows[:] = [row for row in rows if row.version != version]

    async def erase(subject: UUID) -> None:
        store.keys.destroy(subject)

    async def states() -> list[bytes]:
        return [row.encoded.state for log in store._logs.values() for row in log]

    stored = Stored(
        store=store,
        keys=store.keys,
        erase=erase,
        states=states,
        claims=store.claims,
        ownership=store.ownership,
        leases=store.leases,
        canvas=store.canvas,
        contents=contents,
        secrets=secrets,
        cut=cut,
        heard=[],
    )
    store.on_append.append(
        lambda log, at: stored.heard.append((log, at.core or at.runs))
    )
    return stored


async def _cut(dsn: str, stream: UUID, version: int) -> None:
    async with await AsyncConnection.connect(dsn) as owner:
        await owner.execute(
            "DELETE FROM es.runs_events"
            " WHERE originator_id = %s AND originator_version = %s",
            (stream, version),
        )


async def _states(database: Database) -> list[bytes]:
    async with database.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT state FROM es.core_events"
            " UNION ALL SELECT state FROM es.runs_events"
        )
        return [state for (state,) in await rows.fetchall()]


def on_postgres(
    store: PostgresEventStore, database: Database, keys: PostgresSubjectKeys
) -> Stored:
    async def contents() -> dict[UUID, Content]:
        async with database.pool.connection() as connection:
            rows = await connection.execute(
                "SELECT id, digest, size, subject, sealed, address FROM es.contents"
            )
            return {
                of: Content(ContentRef(of, digest, size), subject, sealed, address)
                for of, digest, size, subject, sealed, address in await rows.fetchall()
            }

    async def secrets() -> dict[UUID, Sealed]:
        async with database.pool.connection() as connection:
            rows = await connection.execute(
                "SELECT id, subject, kind, sealed FROM es.vault"
            )
            return {row[0]: Sealed(*row) for row in await rows.fetchall()}

    stored = Stored(
        store=store,
        keys=keys,
        erase=PostgresEstate(database, keys, NoBlobs()).close,
        states=lambda: _states(database),
        claims=PostgresClaims(database),
        ownership=PostgresOwnership(database),
        leases=PostgresLeases(database),
        canvas=PostgresCanvas(database),
        contents=contents,
        secrets=secrets,
        cut=partial(_cut, database.migration_dsn),
        heard=[],
    )
    store.on_append.append(
        lambda log, at: stored.heard.append((log, at.core or at.runs))
    )
    return stored


class NoBlobs(LocalBlobs):
    """Where nothing may be looked for."""

    def __init__(self) -> None:
        pass

    @override
    async def get(self, address: str) -> bytes:
        raise ContentMissingError(address)
