"""Read tables through a killed leader, a killed database, and rebuilds under load."""

import asyncio
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import override
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from application.ports import SYSTEM, Cause, Recorded
from domain.kernel import DomainError
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import APP_ROLE
from infrastructure.subject_keys import PostgresSubjectKeys
from projections.all import ALL
from projections.projects.views import ProjectViews
from projections.rebuild import SMALL_PAGE
from projections.rows import Rows
from projections.upkeep import Upkeep
from tests.contracts.event_stores import KEYRING
from tests.projections.canonical import shown
from tests.projections.journal import Journal, until
from tests.projections.probe import Probe, ProbeViews, named, renamed
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.chaos, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SECONDS = min(60.0, float(os.environ.get("CHAOS_SECONDS", "60")) / 4)
READS, WRITES = 50, 20
STALEST = 10.0
"""Seconds: a rebuild that showed what was before it would be stale for longer."""
PROJECTS = 20
HISTORY = 4000
"""Facts told before: a rebuild has something to do."""


@asynccontextmanager
async def journal_at(dsn: str) -> AsyncIterator[Journal]:
    database = await Database.open(dsn, pool_size=8)
    store = PostgresEventStore(database, PostgresSubjectKeys(database, KEYRING))
    await store.start()
    try:
        yield Journal(store, database)
    finally:
        await store.stop()
        await database.close()


async def told_at_last(journal: Journal, stream: UUID, name: str) -> None:
    """Tell a fact, again and again while the database is away, until it is in."""
    async with asyncio.timeout(60):
        while True:
            with suppress(DomainError, psycopg.Error, PoolTimeout, OSError):
                await journal.tell(stream, renamed(name))
                return
            await asyncio.sleep(0.05)


class Unlucky(Probe):
    """Its database is killed in the middle of a batch: read, and not yet written."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        super().__init__()
        self.server = server
        self.kills = 0

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        super().fold(batch, rows)
        fatal = any(getattr(one.event, "name", "") == "fatal" for one in batch)
        if fatal and self.kills < 2 and self.server.pid is not None:
            self.kills += 1
            os.kill(self.server.pid, signal.SIGKILL)


async def test_a_database_killed_in_the_middle_of_a_batch_costs_nothing() -> None:
    with directory_for_servers() as home, EmbeddedPostgres(home / "pg") as server:
        await migrate(server.migration_dsn, app_role=APP_ROLE)
        async with journal_at(server.dsn) as journal:
            probe, streams = Unlucky(server), [uuid4() for _ in range(5)]
            async with journal.followed_by(probe) as daemon:
                for stream in streams:
                    await journal.tell(stream, named("a"), renamed("b"))
                assert await daemon.reached(journal.position, within=60)
                await told_at_last(journal, streams[0], "fatal")
                await until(lambda: probe.kills == 2, within=60)
                for stream in streams:
                    await told_at_last(journal, stream, "z")
                assert await daemon.reached(journal.position, within=60)
                await until(lambda: daemon.leads("probe"), within=60)
                told = await daemon.status()
            views = await ProbeViews(journal.database.engine).all()
            facts = [
                recorded.stream
                for recorded in await journal.store.read_log("core", limit=1000)
            ]

    # A fact may be told twice, when its answer was lost with the database; what counts
    # is that each one in the log was taken in once.
    assert views == {stream: ("z", facts.count(stream)) for stream in streams}
    assert sum(one.dead_letters for one in told) == 0


async def test_a_killed_leader_is_followed_by_another(database: Database) -> None:
    async with journal_at(database.dsn) as journal:
        streams = [uuid4() for _ in range(10)]
        for _ in range(3):
            leader = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.resilience.leader", database.dsn),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": "src:."},
                stdout=asyncio.subprocess.PIPE,
            )
            assert leader.stdout is not None
            async with asyncio.timeout(60):
                assert await leader.stdout.readline() == b"leads\n"
            async with journal.followed_by(Probe()) as standby:
                assert not standby.leads("probe")
                for number in range(300):
                    stream = streams[number % len(streams)]
                    await journal.tell(stream, renamed(str(number)))
                    if number == 150:
                        leader.kill()
                assert await standby.reached(journal.position, within=60)
                await until(lambda: standby.leads("probe"), within=60)
                await leader.wait()
        views = await ProbeViews(journal.database.engine).all()

    assert views == {
        stream: (str(290 + number), 90) for number, stream in enumerate(streams)
    }


class Beat:
    """So many times a second, also after a while without a turn."""

    def __init__(self, rate: int) -> None:
        self._due, self._step = time.monotonic(), 1 / rate

    async def next(self) -> None:
        """Wait for the next time."""
        self._due += self._step
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))


class Load:
    """People who rename their projects, and look at them, all the time."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.views = ProjectViews(journal.database.engine)
        self.projects = [uuid4() for _ in range(PROJECTS)]
        self.acknowledged: dict[UUID, list[float]] = {}
        self.staleness: list[float] = []
        self.latest: dict[UUID, int] = dict.fromkeys(self.projects, 0)
        self.relapses: list[str] = []
        self.took: list[float] = []
        self.failures: list[Exception] = []
        self.stop = asyncio.Event()

    @property
    def writes(self) -> int:
        """How many renamings were acknowledged."""
        return sum(map(len, self.acknowledged.values())) - PROJECTS

    @property
    def enough(self) -> bool:
        """Whether there were as many reads and writes as were meant."""
        reads, writes = READS * SECONDS * 0.95, WRITES * SECONDS * 0.95
        return len(self.took) >= reads and self.writes >= writes

    @override
    def __str__(self) -> str:
        return (
            f"{len(self.took)} reads and {self.writes} writes: stalest"
            f" {max(self.staleness):.3f} s; a read took"
            f" {statistics.median(self.took) * 1000:.1f} ms, at most"
            f" {max(self.took) * 1000:.0f} ms; none failed"
        )

    async def begin(self) -> None:
        """Give every project a past."""
        for number in range(HISTORY // 100):
            project = self.projects[number % PROJECTS]
            history = [named("0"), *(renamed("0") for _ in range(99))]
            await self.journal.tell(project, *history)
        self.acknowledged = {one: [time.monotonic()] for one in self.projects}

    async def write(self) -> None:
        """Rename one project after the other, to the number of its renaming."""
        number, beat = 0, Beat(WRITES)
        while not self.stop.is_set():
            project = self.projects[number % PROJECTS]
            times = self.acknowledged[project]
            await self.journal.tell(project, renamed(str(len(times))))
            times.append(time.monotonic())
            number += 1
            await beat.next()

    async def read(self) -> None:
        """Look at one project after the other, and how old what one sees is."""
        pending: set[asyncio.Task[None]] = set()
        number, beat = 0, Beat(READS)
        while not self.stop.is_set():
            task = asyncio.create_task(self._look(self.projects[number % PROJECTS]))
            pending.add(task)
            task.add_done_callback(pending.discard)
            number += 1
            await beat.next()
        await asyncio.gather(*pending)

    async def _look(self, project: UUID) -> None:
        began, latest = time.monotonic(), self.latest[project]
        try:
            row = await self.views.get(project)
            self.took.append(time.monotonic() - began)
            assert row is not None
            if (shown := int(row.name)) < latest:
                self.relapses.append(f"{shown} after {latest}")
            self.latest[project] = max(self.latest[project], shown)
            missed = self.acknowledged[project][int(row.name) + 1 :]
        except Exception as error:  # noqa: BLE001 - each is one that people would see
            self.failures.append(error)
        else:
            self.staleness.append(max(0.0, began - missed[0]) if missed else 0.0)


async def rebuilt_all(upkeep: Upkeep) -> int:
    """Rebuild every projection, as a server does beside its requests."""
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    made = await asyncio.gather(
        *(upkeep.rebuild(name, cause=cause, page=SMALL_PAGE) for name in upkeep.names)
    )
    return len(made)


async def test_rebuilds_under_load_fail_no_read_and_show_nothing_old(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async with journal_at(database.dsn) as journal:
        load, rebuilt = Load(journal), 0
        await load.begin()
        upkeep = Upkeep(journal.database, journal.store, ALL)
        async with journal.followed_by(*ALL) as daemon:
            assert await daemon.reached(journal.position, within=60)
            people = [asyncio.create_task(work()) for work in (load.write, load.read)]
            deadline = time.monotonic() + SECONDS
            # A slow machine takes longer for as much.
            while time.monotonic() < deadline or not (load.enough or load.failures):
                rebuilt += await rebuilt_all(upkeep)
            load.stop.set()
            await asyncio.gather(*people)
            assert await daemon.reached(await journal.store.head(), within=60)
            live = await shown(journal.database)
            await rebuilt_all(upkeep)
            assert await daemon.reached(await journal.store.head(), within=60)
            again = await shown(journal.database)

    assert not load.failures
    assert not load.relapses
    assert max(load.staleness) < STALEST
    assert again == live
    with capsys.disabled():
        print(f"\n{rebuilt} rebuilds in {SECONDS:.0f} s under {load}")
