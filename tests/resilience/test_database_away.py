"""The database stands still, is slow, full or gone; and all goes on when it is back."""

import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import psutil
import psycopg
import pytest
from psycopg import AsyncConnection

from application.ports import OutcomeUnknownError, StoreBusyError
from application.ports.refusals import StoreFullError
from infrastructure import patience
from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import Limits
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import ADMIN_ROLE, APP_ROLE
from tests.contracts.event_stores import Named, because
from tests.contracts.postgres_stores import opened
from tests.servers import Addresses, Databases, postgres_server, small_disk

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(300)]

LIMITS = Limits(
    batch_commands=16, lock_timeout=0.5, statement_timeout=0.5, give_up_after=2
)
BOUND = 20.0
"""Seconds that anybody waits at most with these limits, on a busy machine."""
BACK_WITHIN = 90.0
"""Seconds that a database has to come back by itself."""


@pytest.fixture(scope="module")
def away() -> Iterator[Databases]:
    """A PostgreSQL that nobody else uses, to be ill-treated."""
    with postgres_server() as databases:
        yield databases


@pytest.fixture
def spare() -> Iterator[Databases]:
    """Another one, for what might leave it in ruins."""
    with postgres_server() as databases:
        yield databases


@pytest.fixture
async def addresses(away: Databases) -> Addresses:
    made = away.create()
    await migrate(made.migration_dsn, app_role=APP_ROLE)
    return made


@pytest.fixture
async def store(
    addresses: Addresses, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PostgresEventStore]:
    monkeypatch.setattr(patience.PatientConnection, "longest_wait", 1.0)
    async with opened_at(addresses.dsn) as store:
        yield store


@asynccontextmanager
async def opened_at(dsn: str) -> AsyncIterator[PostgresEventStore]:
    database = await Database.open(f"{dsn}&connect_timeout=2")
    async with opened(database, LIMITS) as store:
        yield store
    await database.close()


class People:
    """They save all the time, and keep in mind what they were told."""

    def __init__(self, store: PostgresEventStore) -> None:
        self.stored: set[Named] = set()
        self.refused: list[tuple[Named, Exception]] = []
        self.longest = 0.0
        self._store = store

    async def save(self, times: int = 1) -> None:
        for number in range(times):
            named = Named.called("a", "b", str(number))
            began = time.monotonic()
            try:
                await self._store.save(named, cause=because())
            except (StoreBusyError, OutcomeUnknownError) as error:
                self.refused.append((named, error))
            else:
                self.stored.add(named)
            self.longest = max(self.longest, time.monotonic() - began)

    async def all_save(self, people: int = 8) -> None:
        await asyncio.gather(*(self.save(2) for _ in range(people)))

    async def check(self) -> None:
        """All is whole, what was told is true, and it can be written again."""
        async with asyncio.timeout(BACK_WITHIN):
            while True:
                before = len(self.stored)
                await self.save()
                if len(self.stored) > before:
                    break
        versions: dict[object, int] = {}
        position = 0
        while page := await self._store.read_log("core", after=position):
            for one in page:
                assert one.version == versions.get(one.stream, 0) + 1
                versions[one.stream] = one.version
            position = page[-1].position
        assert set(versions.values()) == {3}
        assert {named.id for named in self.stored} <= versions.keys()
        for named, error in self.refused:
            if not isinstance(error, OutcomeUnknownError):
                assert named.id not in versions
        assert self.longest < BOUND


def processes(away: Databases) -> list[psutil.Process]:
    pid = away.server.pid
    assert pid
    postmaster = psutil.Process(pid)
    return [postmaster, *postmaster.children(recursive=True)]


@contextmanager
def standing_still(away: Databases, *, backends_only: bool) -> Iterator[None]:
    stopped = processes(away)[1 if backends_only else 0 :]
    send(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        send(stopped, signal.SIGCONT)


def send(to: list[psutil.Process], number: signal.Signals) -> None:
    """Signal all who are still there: some come and go, or follow their parent."""
    for process in to:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@pytest.mark.parametrize("backends_only", [False, True], ids=["all of it", "backends"])
async def test_a_database_that_stands_still_is_given_up(
    away: Databases, store: PostgresEventStore, *, backends_only: bool
) -> None:
    people = People(store)
    await people.all_save()
    with standing_still(away, backends_only=backends_only):
        await people.all_save()
        if not backends_only:
            began = time.monotonic()
            with pytest.raises(psycopg.OperationalError):
                await store.read_log("core")
            assert time.monotonic() - began < BOUND
    assert people.refused
    await people.check()


async def test_it_stands_still_in_the_middle_of_much_work(
    away: Databases, store: PostgresEventStore
) -> None:
    people = People(store)
    for _ in range(3):
        working = asyncio.create_task(people.all_save())
        await asyncio.sleep(0.02)
        with standing_still(away, backends_only=False):
            await asyncio.sleep(1)
        await working
    await people.check()


async def test_a_slow_database_is_busy(
    addresses: Addresses, store: PostgresEventStore
) -> None:
    people = People(store)
    slow = """
        CREATE FUNCTION es.be_slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;
        CREATE TRIGGER be_slow AFTER INSERT ON es.core_events
            FOR EACH STATEMENT EXECUTE FUNCTION es.be_slow();
    """
    async with await AsyncConnection.connect(
        addresses.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute(slow.encode())
        await people.all_save(20)
        assert not people.stored
        assert people.longest < BOUND
        await owner.execute("DROP FUNCTION es.be_slow CASCADE")
    await people.check()


async def test_a_full_disk_is_told_and_nothing_is_half_written(
    spare: Databases,
) -> None:
    with small_disk(8) as disk:
        (disk / "filler").write_bytes(b"\0" * (6 * 1024 * 1024))
        room = disk / "room"
        room.mkdir()
        shutil.chown(room, psutil.Process(spare.server.pid).username())
        made = spare.create()
        await migrate(made.migration_dsn, app_role=APP_ROLE)
        with psycopg.connect(
            spare.server.url(made.name, role=ADMIN_ROLE), autocommit=True
        ) as admin:
            admin.execute(f"CREATE TABLESPACE small LOCATION '{room}'".encode())
            admin.execute("ALTER TABLE es.core_events SET TABLESPACE small")
        async with opened_at(made.dsn) as store:
            people = People(store)
            await fill(people)
            assert isinstance(people.refused[-1][1], StoreFullError)
            (disk / "filler").unlink()
            await people.check()


async def fill(people: People) -> None:
    for _ in range(2000):
        await people.all_save(100)
        if people.refused:
            return


async def test_a_database_that_is_killed_is_missed_and_found_again(
    away: Databases, store: PostgresEventStore
) -> None:
    people = People(store)
    for _ in range(2):
        working = asyncio.create_task(people.all_save())
        await asyncio.sleep(0.02)
        send(processes(away), signal.SIGKILL)
        await working
        await people.check()
