"""A journal of what happened days ago, and how long it is kept."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection

from application.ports import SYSTEM, Attached, Cause, Content
from domain.kernel import ContentRef, Event
from domain.run.events import RunClaimed, RunSucceeded
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.evidence.sealer import Sealer
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from projections.all import ALL
from projections.keeping import Keeping
from projections.messages.views import MessageViews
from projections.rebuild import rebuild
from projections.retention import Retention
from projections.runs.views import RunViews
from projections.transactions.views import TransactionViews
from projections.vertex_builds.views import BuildViews
from tests.projections.journal import OWNER, Journal, RunsFacts
from tests.projections.test_messages import opened, posted
from tests.projections.test_runs import FLOW, built, requested

KEYS = Keyring("the key of this installation, which is long")
KEEPING = Keeping(
    messages=timedelta(days=90),
    transactions=timedelta(days=30),
    builds=timedelta(days=7),
    runs=timedelta(days=90),
    files=timedelta(hours=24),
    sessions=timedelta(hours=24),
)
NOW = datetime.now(UTC)
CAUSE = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())


def run_at(days_ago: float) -> UUID:
    """Return the id of a run that was requested so long ago."""
    milliseconds = int((NOW - timedelta(days=days_ago)).timestamp() * 1000)
    random = uuid4().int & ((1 << 74) - 1)
    version_and_variant = (7 << 76) | (2 << 62)
    return UUID(int=milliseconds << 80 | version_and_variant | random & ~(0xF << 76))


def thread_id() -> UUID:
    return UUID(int=0xFF << 120 | uuid4().int >> 8)


class Past(Journal):
    """A journal of what happened days ago, with the contents that events name."""

    def __init__(
        self, store: PostgresEventStore, database: Database, blobs: LocalBlobs
    ) -> None:
        super().__init__(store, database)
        self.blobs = blobs
        self.retention = self.kept(KEEPING)

    def kept(self, keeping: Keeping) -> Retention:
        assert isinstance(self.store, PostgresEventStore)
        return Retention(
            self.database, self.store, self.blobs, KEYS.sign_history, keeping
        )

    async def happened(self, days_ago: float, stream: UUID, *events: Event) -> None:
        facts = RunsFacts(stream)
        facts.say(*events)
        contents = [
            Content(value, OWNER, b"", address=await self.blobs.put(value.id.bytes))
            for event in events
            for value in msgspec.structs.astuple(event)
            if isinstance(value, ContentRef)
        ]
        saved = await self.store.save(
            cause=CAUSE, anywhere=[facts], attached=Attached(contents=contents)
        )
        self.position = self.position.upto(saved.position)
        async with self.owner() as connection:
            await connection.execute(
                "UPDATE es.runs_events SET recorded_at = %s"
                " WHERE originator_id = %s AND recorded_at > now() - interval '1 hour'",
                (NOW - timedelta(days=days_ago), stream),
            )

    def owner(self) -> Any:
        return _owner(self.database.migration_dsn)

    async def month(self, name: str) -> None:
        """Make the partition of a month that has long passed."""
        year, month = map(int, name.split("_"))
        since = datetime(year, month, 1, tzinfo=UTC)
        until = since.replace(year=year + month // 12, month=month % 12 + 1)
        async with self.owner() as connection:
            await connection.execute(
                f"CREATE TABLE IF NOT EXISTS es.runs_events_{name} PARTITION OF"
                f" es.runs_events FOR VALUES FROM (es.first_id_at('{since}'))"
                f" TO (es.first_id_at('{until}'))".encode()
            )

    async def seal(self) -> None:
        sealer = Sealer(self.database.dsn, KEYS.sign_history)
        await sealer.seal()
        await sealer.close()

    async def contents(self) -> set[UUID]:
        async with self.database.pool.connection() as connection:
            rows = await connection.execute("SELECT id FROM es.contents")
            return {one for (one,) in await rows.fetchall()}

    async def shown(self, keeping: Keeping = KEEPING) -> dict[str, Sequence[Any]]:
        """Return what people can ask for, by kind."""
        engine = self.database.engine
        transactions, _ = await TransactionViews(engine, keeping).page(FLOW)
        runs, _ = await RunViews(engine, keeping).page(OWNER)
        return {
            "messages": await MessageViews(engine, keeping).select(OWNER),
            "transactions": transactions,
            "builds": await BuildViews(engine, keeping).latest(FLOW),
            "runs": runs,
        }

    async def counted(self) -> dict[str, int]:
        return {kind: len(rows) for kind, rows in (await self.shown()).items()}

    async def count(self, table: str) -> int:
        async with self.database.pool.connection() as connection:
            rows = await connection.execute(f"SELECT count(*) FROM {table}".encode())
            [count] = await rows.fetchone() or (0,)
            return int(count)


class _owner:  # noqa: N801 - reads as a function
    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def __aenter__(self) -> AsyncConnection[Any]:
        self._connection = await AsyncConnection.connect(self._dsn, autocommit=True)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()


async def a_hundred_days(past: Past) -> None:
    """A run and a message each of 200, 40, 10 days ago, and of now."""
    thread = thread_id()
    async with past.followed_by(*ALL) as daemon:
        for days_ago in (200, 40, 10, 0):
            run = run_at(days_ago)
            month = (NOW - timedelta(days=days_ago)).strftime("%Y_%m")
            await past.month(month)
            told: tuple[Event, ...] = (requested(), RunClaimed(worker="w", attempt=1))
            vertex = f"V{days_ago}"
            told = (*told, built("A"), built(vertex, "A"), RunSucceeded())
            await past.happened(days_ago, run, *told)
            if days_ago == 200:
                await past.happened(days_ago, thread, opened())
            await past.happened(days_ago, thread, posted())
        assert await daemon.reached(past.position, within=30)
    await past.seal()
    # Rows are dated by their events, which the daemon may have seen before we did.
    for projector in ALL:
        await rebuild(past.database, past.store, projector)
