"""What outlived its time goes, and what is made anew shows what the old one did."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from application.ports import EventStore
from domain.operation.events import RetentionApplied
from domain.operation.operation import Operation
from domain.thread.events import MessagePosted
from infrastructure.archive.archived_store import ArchivedEventStore
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from projections.all import ALL
from projections.keeping import FOR_EVER
from projections.rebuild import rebuild
from projections.retention import Aged, RetentionRunningError
from projections.schedule import Schedule
from projections.upkeep import Upkeep
from tests.projections.journal import OWNER, content
from tests.projections.past import (
    CAUSE,
    NOW,
    Past,
    a_hundred_days,
    run_at,
    thread_id,
)
from tests.projections.test_messages import opened, posted
from tests.projections.test_runs import requested

pytestmark = pytest.mark.server


@pytest.fixture
async def past(database: Database, tmp_path: Path) -> AsyncIterator[Past]:
    store = PostgresEventStore(database)
    await store.start()
    yield Past(store, database, LocalBlobs(tmp_path / "blobs"))
    await store.stop()


def gone(report: Sequence[Aged]) -> dict[str, int]:
    return {one.kind: one.rows for one in report if one.rows and one.stays is None}


async def test_what_is_too_old_is_hidden_before_it_goes(past: Past) -> None:
    await a_hundred_days(past)

    everything = await past.shown(FOR_EVER)

    assert {kind: len(rows) for kind, rows in everything.items()} == {
        "messages": 4,
        "transactions": 4,
        "builds": 5,
        "runs": 4,
    }
    assert await past.counted() == {
        "messages": 3,
        "transactions": 2,
        "builds": 2,
        "runs": 3,
    }


async def test_a_dry_run_tells_what_would_go_and_changes_nothing(past: Past) -> None:
    await a_hundred_days(past)
    contents = await past.contents()

    report = await past.retention.preview()

    assert gone(report) == {
        "messages": 1,
        "builds": 3,
        "transactions": 2,
        "results": 4,
        "runs": 1,
        "threads": 1,
        "runs_events_" + (NOW - timedelta(days=200)).strftime("%Y_%m"): 5,
    }
    assert next(one.bytes for one in report if one.kind == "messages") == 12
    assert await past.contents() == contents
    assert await past.count("rm.messages") == 4
    assert await past.count("es.archives") == 0


async def test_a_dry_run_foretells_the_real_one_which_is_put_on_record(
    past: Past,
) -> None:
    await a_hundred_days(past)
    expected = gone(await past.retention.preview())
    told: list[Aged] = []

    report = await past.retention.apply(cause=CAUSE, told=told.append)

    assert gone(report) == expected
    assert told == report
    events = await past.store.read_log("core")
    [applied] = [e.event for e in events if isinstance(e.event, RetentionApplied)]
    assert applied.removed == expected
    assert applied.bytes == sum(one.bytes for one in report)
    assert not gone(await past.retention.apply(cause=CAUSE))


async def test_views_are_the_same_live_purged_and_made_anew(past: Past) -> None:
    await a_hundred_days(past)
    live = await past.shown()

    await past.retention.apply(cause=CAUSE)
    purged = await past.shown()
    for projector in ALL:
        await rebuild(past.database, past.store, projector)

    assert purged == live
    assert await past.shown() == live
    assert await past.count("rm.runs") == 3


async def test_contents_go_with_what_showed_them_and_no_others(past: Past) -> None:
    await a_hundred_days(past)
    shown = await past.shown()
    kept = {row.content.id for row in [*shown["messages"], *shown["builds"]]}
    kept |= {row.outputs_content.id for row in shown["transactions"]}
    addresses = [await past.blobs.put(one.bytes) for one in kept]

    await past.retention.apply(cause=CAUSE)

    left = await past.contents()
    assert kept <= left
    # Beside them stay the requests of three runs, and the last vertex's result of one,
    # which no transaction shows though it lies as long as if it did.
    assert len(left) == len(kept) + 3 + 1
    for address in addresses:
        assert await past.blobs.get(address)


async def test_blobs_of_forgotten_contents_go_too(past: Past) -> None:
    thread = thread_id()
    old = posted()
    assert isinstance(old, MessagePosted)
    async with past.followed_by(*ALL) as daemon:
        await past.happened(100, thread, opened(), old)
        assert await daemon.reached(past.position, within=30)
    for projector in ALL:
        await rebuild(past.database, past.store, projector)
    [address] = [p.name for p in past.blobs._root.rglob("*") if p.is_file()]

    await past.retention.apply(cause=CAUSE)

    assert not await past.contents()
    assert address not in [p.name for p in past.blobs._root.rglob("*") if p.is_file()]


async def test_rows_stay_while_their_blobs_cannot_go(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_hundred_days(past)
    before = await past.contents()
    files = {path for path in past.blobs._root.rglob("*") if path.is_file()}

    async def away(_: str) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as patched:
        patched.setattr(past.blobs, "delete", away)
        with pytest.raises(ConnectionAbortedError):
            await past.retention.apply(cause=CAUSE)

    assert await past.contents() == before
    assert await past.count("rm.messages") == 4
    await past.retention.apply(cause=CAUSE)
    left = {path for path in files if path.is_file()}
    assert len(left) == len(await past.contents()) < len(before)


async def test_with_nothing_limited_nothing_goes(past: Past) -> None:
    await a_hundred_days(past)
    contents = await past.contents()

    report = await past.kept(FOR_EVER).apply(cause=CAUSE)

    assert not gone(report)
    assert await past.contents() == contents


async def test_a_month_that_stays_is_told_with_its_reason(past: Past) -> None:
    await a_hundred_days(past)
    run = run_at(200)
    await past.happened(200, run, requested())

    report = await past.retention.apply(cause=CAUSE)

    [stays] = [one.stays for one in report if one.stays]
    assert f"the run {run} has not ended" in stays


async def test_without_the_owner_rows_go_and_history_stays(past: Past) -> None:
    await a_hundred_days(past)
    past.database.migration_dsn = "postgresql://nobody:hidden@127.0.0.1:1/none"

    report = await past.retention.apply(cause=CAUSE)

    assert gone(report)["messages"] == 1
    [stays] = [one.stays for one in report if one.stays]
    assert "owner" in stays
    assert "hidden" not in stays


async def test_ended_sessions_old_links_answers_and_files_go(
    past: Past, tmp_path: Path
) -> None:
    arriving = tmp_path / "blobs" / "arriving"
    for name, hours in (("old", 25), ("young", 1)):
        (arriving / name).write_bytes(b"12345")
        at = (NOW - timedelta(hours=hours)).timestamp()
        os.utime(arriving / name, (at, at))
    async with past.database.pool.connection() as connection:
        for hours in (25, 1, -1):
            ended = NOW - timedelta(hours=hours)
            await connection.execute(
                "INSERT INTO es.sessions (id, user_id, refresh_jti, expires_at)"
                " VALUES (%s, %s, %s, %s)",
                (uuid4(), OWNER, uuid4(), ended),
            )
            await connection.execute(
                "INSERT INTO es.sign_in_links (hash, user_id, expires_at)"
                " VALUES (%s, %s, %s)",
                (uuid4().bytes, OWNER, ended),
            )
        for days in (8, 6):
            await connection.execute(
                "INSERT INTO es.commands (command_id, actor, log, request_hash, answer,"
                " position, created_at) VALUES (%s, %s, 'core', '', 'abc', 0, %s)",
                (uuid4(), OWNER, NOW - timedelta(days=days)),
            )

    report = await past.retention.apply(cause=CAUSE)

    assert gone(report) == {"sessions": 1, "links": 1, "answers": 1, "files": 1}
    assert [path.name for path in arriving.iterdir()] == ["young"]
    assert await past.count("es.sessions") == 2
    assert (await past.store.head()).core == 1


async def test_two_cannot_apply_it_at_once(past: Past) -> None:
    async with past.retention._alone():
        with pytest.raises(RetentionRunningError):
            await past.retention.apply(cause=CAUSE)


async def test_the_schedule_works_again_and_again_on_one_server(past: Past) -> None:
    done: list[str] = []
    twice = asyncio.Event()

    def work(name: str) -> Any:
        async def one() -> None:
            done.append(name)
            if len(done) > 2:
                twice.set()
            if len(done) == 1:
                raise RuntimeError("the first time")

        return one

    schedules = [
        Schedule(past.database.dsn, work(name), every=0.01, soon=0.01) for name in "ab"
    ]
    for schedule in schedules:
        await schedule.start()
    async with asyncio.timeout(30):
        await twice.wait()
    for schedule in schedules:
        await schedule.stop()

    assert len(set(done)) == 1


async def test_a_schedule_of_no_hours_never_works(past: Past) -> None:
    async def work() -> None:
        raise AssertionError

    schedule = Schedule(past.database.dsn, work, every=0)
    await schedule.start()
    assert schedule._task is None
    await schedule.stop()


async def test_operations_read_back_what_was_removed(past: Past) -> None:
    operation = Operation.of(uuid4(), RetentionApplied(removed={"files": 2}, bytes=7))
    await past.store.save(operation, cause=CAUSE)

    loaded = await past.store.load(Operation, operation.id)

    assert loaded.done == RetentionApplied(removed={"files": 2}, bytes=7)
    assert content() != content()


async def test_a_rebuild_with_archives_shows_archived_runs_again(past: Past) -> None:
    await a_hundred_days(past)
    before = await past.shown(FOR_EVER)
    await past.retention.apply(cause=CAUSE)
    assert isinstance(past.store, PostgresEventStore)
    history = ArchivedEventStore(past.store, past.database, past.blobs)
    upkeep = Upkeep(past.database, past.store, ALL)

    for name in upkeep.names:
        await upkeep.rebuild(name, cause=CAUSE, history=history)

    assert await past.shown(FOR_EVER) == before


class StoppedError(Exception):
    """The operator pressed Ctrl+C."""


def stopped(done: int, _: int) -> None:
    if done > 4:
        raise StoppedError


async def test_a_rebuild_is_not_gone_on_with_by_one_that_differs_in_archives(
    past: Past,
) -> None:
    await a_hundred_days(past)
    full = (await past.shown(FOR_EVER))["runs"]
    await past.retention.apply(cause=CAUSE)
    assert isinstance(past.store, PostgresEventStore)
    history = ArchivedEventStore(past.store, past.database, past.blobs)
    upkeep = Upkeep(past.database, past.store, ALL)

    async def begun(history: EventStore | None) -> None:
        with pytest.raises(StoppedError):
            await upkeep.rebuild(
                "runs", cause=CAUSE, page=2, progress=stopped, history=history
            )

    async def made(history: EventStore | None) -> tuple[int, int]:
        found = await upkeep.rebuild("runs", cause=CAUSE, history=history)
        return found.generation, len((await past.shown(FOR_EVER))["runs"])

    await begun(None)
    with_archives = await made(history)
    await begun(history)
    without = await made(None)
    await begun(history)
    gone_on_with = await made(history)

    # The second is live; each rebuild that is not gone on with takes a number, too.
    assert with_archives == (4, len(full))
    assert without == (6, len(full) - 1)
    assert gone_on_with == (7, len(full))
