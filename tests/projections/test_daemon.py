"""The daemon: level with the log, one leader, poison parked, waiters told."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from application.ports import Position
from domain.kernel import DomainError
from domain.thread.events import ThreadOpened
from domain.user.events import SignedIn, UserActivated, UserRegistered
from infrastructure.event_store.listener import Listener
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from projections.all import ALL
from projections.daemon import Daemon
from projections.users.projector import UsersProjector
from projections.writer import Writer
from tests.projections.journal import OWNER, Journal, until
from tests.projections.probe import (
    Probe,
    ProbeViews,
    named,
    renamed,
)

pytestmark = pytest.mark.server


@pytest.fixture
def views(journal: Journal) -> ProbeViews:
    return ProbeViews(journal.database.engine)


async def facts(journal: Journal, *streams: UUID) -> None:
    for stream in streams:
        await journal.tell(stream, named("a"), renamed("b"))


async def test_the_same_fact_twice_counts_once(
    journal: Journal, views: ProbeViews
) -> None:
    project = uuid4()
    await facts(journal, project)
    await journal.project(Probe())
    page = await journal.store.read_log("core")
    writer = Writer(journal.database, Probe(), 1)
    await writer.open()
    await writer.advance("core", page, upto=2)
    await writer.advance("core", page, upto=2)

    assert await views.all() == {project: ("b", 2)}


async def test_a_daemon_that_was_stopped_goes_on_where_it_was(
    journal: Journal, views: ProbeViews
) -> None:
    one, two = uuid4(), uuid4()
    await facts(journal, one)
    await journal.project(Probe())
    await facts(journal, two)
    again = Probe()
    await journal.project(again)

    assert again.batches == [[3, 4]]
    assert await views.all() == {one: ("b", 2), two: ("b", 2)}


async def test_a_poison_event_parks_its_stream_and_nothing_else(
    journal: Journal, views: ProbeViews
) -> None:
    good, bad, late = uuid4(), uuid4(), uuid4()
    await journal.tell(good, named("a"))
    await journal.tell(bad, named("before"), renamed("poison"), renamed("after"))
    await journal.tell(good, renamed("b"))
    async with journal.followed_by(Probe(), UsersProjector()) as daemon:
        assert await daemon.reached(journal.position, within=30)
        await journal.tell(bad, renamed("later still"))
        await journal.tell(late, named("a"))
        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == {
            good: ("b", 2),
            bad: ("before", 1),
            late: ("a", 1),
        }
        told = await daemon.status()

    assert {(s.name, s.log, s.dead_letters) for s in told} == {
        ("probe", "core", 1),
        ("probe", "runs", 0),
        ("users", "core", 0),
    }
    async with journal.database.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT projection, log, position, stream, reason FROM es.dead_letters"
        )
        assert await cursor.fetchall() == [
            ("probe", "core", 3, bad, "PoisonError: poison")
        ]
    await journal.tell(bad, renamed("held over a restart"))
    await journal.project(Probe())
    assert (await views.all())[bad] == ("before", 1)


async def test_of_two_daemons_one_leads_and_the_other_takes_over(
    journal: Journal, views: ProbeViews
) -> None:
    one, two, three = uuid4(), uuid4(), uuid4()
    idle = Probe()
    standby = Daemon(journal.database, journal.store, [idle], poll=0.1, interval=0.1)
    async with journal.followed_by(Probe()) as leader:
        await standby.start()
        assert leader.leads("probe")
        assert not standby.leads("probe")
        await facts(journal, one)
        assert await leader.reached(journal.position, within=30)
        assert await standby.reached(journal.position, within=30)
        assert idle.batches == []
        await leader.stop()

        await until(lambda: standby.leads("probe"))
        await facts(journal, two)
        assert await standby.reached(journal.position, within=30)
        await facts(journal, three)
        assert await standby.reached(journal.position, within=30)
        await standby.stop()

    assert await views.all() == dict.fromkeys((one, two, three), ("b", 2))


async def test_a_standby_knows_which_events_its_leader_does_not_want(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The leader stores such a position a second later: nobody waits for that.
    monkeypatch.setattr("projections.follower.LAZY", 1e9)
    async with (
        journal.followed_by(Probe()) as leader,
        journal.followed_by(Probe()) as standby,
    ):
        await journal.tell(OWNER, UserRegistered(username="ada", active=True))
        assert await standby.reached(journal.position, within=30)
        assert await leader.reached(journal.position, within=30)


async def test_waiting_ends_when_the_time_is_up(journal: Journal) -> None:
    async with journal.followed_by(Probe()) as daemon:
        assert not await daemon.reached(Position(core=1), within=0.05)
        assert await daemon.reached(Position(), within=0)


async def test_waiting_ends_when_all_logs_have_passed(journal: Journal) -> None:
    async with journal.followed_by(Probe(), UsersProjector()) as daemon:
        waiting = asyncio.create_task(
            daemon.reached(Position(core=1, runs=1), within=30)
        )
        await journal.tell(uuid4(), named("a"))
        await until(lambda: daemon.positions().core == 1)
        assert not waiting.done()
        await journal.tell(uuid4(), ThreadOpened(flow=OWNER, session="", owner=OWNER))
        assert await waiting
        assert daemon.positions() == Position(core=1, runs=1)
        assert daemon.lag() == Position()


async def test_unwanted_events_are_passed_before_that_is_stored(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe()
    async with journal.followed_by(probe) as daemon:
        with monkeypatch.context() as lazy:
            lazy.setattr("projections.follower.LAZY", 1e9)
            await journal.tell(OWNER, SignedIn(means="link"), UserActivated())
            assert await daemon.reached(journal.position, within=30)
            assert probe.batches == []
            assert (await daemon.status())[0].position == 0
        await journal.tell(OWNER, SignedIn(means="link"))
        async with asyncio.timeout(30):
            while (await daemon.status())[0].position < 3:
                await asyncio.sleep(0.05)


async def test_a_batch_survives_the_loss_of_every_connection(
    stored_journal: Journal,
) -> None:
    journal, project = stored_journal, uuid4()
    async with journal.followed_by(Probe()) as daemon:
        await journal.tell(project, named("a"))
        assert await daemon.reached(journal.position, within=30)
        async with journal.database.pool.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        async with asyncio.timeout(30):
            while True:
                try:
                    await journal.tell(project, renamed("b"))
                    break
                except (psycopg.Error, DomainError):
                    await asyncio.sleep(0.05)
        assert await daemon.reached(journal.position, within=30)
        await until(lambda: daemon.leads("probe"))
    views = ProbeViews(journal.database.engine)
    assert await views.all() == {project: ("b", 2)}


async def test_appends_of_another_process_are_heard(stored_journal: Journal) -> None:
    """Two stores on one database stand for two processes."""
    journal = stored_journal
    other = await Database.open(journal.database.dsn, pool_size=2)
    store = PostgresEventStore(other)
    await store.start()
    listener = Listener(journal.database.dsn)
    await listener.start()
    daemon = Daemon(journal.database, journal.store, [Probe()], listener, poll=60)
    await daemon.start()
    try:
        elsewhere = Journal(store, other)
        await elsewhere.tell(uuid4(), named("a"))
        assert await daemon.reached(elsewhere.position, within=30)
    finally:
        await daemon.stop()
        await listener.stop()
        await store.stop()
        await other.close()


async def test_a_listener_that_was_cut_off_hears_again_and_misses_nothing(
    stored_journal: Journal,
) -> None:
    """Nothing tells of an append but the listener, and no poll comes in time."""
    journal, views = stored_journal, ProbeViews(stored_journal.database.engine)
    listener = Listener(journal.database.dsn)
    await listener.start()
    daemon = Daemon(journal.database, journal.store, [Probe()], listener, poll=60)
    await daemon.start()
    store: Any = journal.store
    told, store.on_append = store.on_append, []
    try:
        for number in range(3):
            async with journal.database.pool.connection() as connection:
                cut = await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
                )
                assert len(await cut.fetchall()) == 1
            event = renamed(str(number)) if number else named("0")
            await journal.tell(OWNER, event)
            assert await daemon.reached(journal.position, within=30)
    finally:
        store.on_append = told
        await daemon.stop()
        await listener.stop()
    assert await views.all() == {OWNER: ("2", 3)}


async def test_without_any_event_all_are_level(stored_journal: Journal) -> None:
    async with stored_journal.followed_by(*ALL) as daemon:
        assert await daemon.reached(await stored_journal.store.head(), within=0)
        told = await daemon.status()
        assert {(one.health, one.lag, one.seconds) for one in told} == {
            ("level", 0, None)
        }
        daemon.pulse.look()
        assert daemon.pulse.worst == "level"


async def test_reads_follow_writes_without_waiting_for_any_look(
    stored_journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many milliseconds that takes is measured by `make bench`."""
    monkeypatch.setattr("projections.follower.LAZY", 1e9)
    journal = stored_journal
    daemon = Daemon(journal.database, journal.store, ALL, poll=3600)
    await daemon.start()
    for _ in range(20):
        await journal.tell(uuid4(), named("a"))
        assert await daemon.reached(journal.position, within=30)
    await daemon.stop()


async def test_a_log_whose_growth_nobody_tells_is_polled(database: Database) -> None:
    store = MemoryEventStore()
    journal = Journal(store, database)
    async with journal.followed_by(Probe()) as daemon:
        told, store.on_append = store.on_append, []
        await journal.tell(uuid4(), named("a"))
        assert await daemon.reached(journal.position, within=30)
        store.on_append = told
