"""Finished runs move to archives, whole, and history still verifies."""

import asyncio
import gzip
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from application.ports import StreamNotFoundError
from domain.operation.events import RunsArchived
from domain.operation.operation import Operation
from domain.run.events import (
    RunFailed,
)
from domain.run.run import Run
from infrastructure.archive import leaving
from infrastructure.archive.archiver import Archiver, NothingMovedError
from infrastructure.event_store.mapper import ErasedEvent
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import OWNER, because
from tests.infrastructure.archiving import (
    FLOW,
    LONG_AFTER,
    Store,
    requested,
    run_id,
)
from tests.infrastructure.evidence_room import KEYS, Room
from tests.projections.journal import content

pytestmark = pytest.mark.server


async def test_a_month_of_finished_runs_moves_and_can_be_fetched_back(
    kept: Store,
) -> None:
    runs = await kept.month()
    before = await kept.room.store.read_log("runs")
    of_one = await kept.room.store.read_stream("runs", runs[2])

    await kept.room.ask(
        "INSERT INTO es.ownership (resource, kind, owner) VALUES (%s, 'run', %s),"
        " (%s, 'flow', %s) RETURNING 1",
        *(runs[0], OWNER, FLOW, OWNER),
    )

    archive = await kept.move()

    left = await kept.room.store.read_log("runs")
    assert await kept.room.ask("SELECT resource FROM es.ownership") == [(FLOW,)]
    assert {one.stream for one in left}.isdisjoint(runs)
    assert not await kept.archiver.candidates(before=LONG_AFTER)
    assert (archive.runs, archive.events) == (3, 12)
    assert await kept.archived.read_log("runs") == before
    assert await kept.archived.archived(runs[2]) == of_one
    listed = await kept.archived.streams(archive)
    assert [(one.stream, one.end) for one in listed] == [
        (runs[0], "run.succeeded"),
        (runs[1], "run.failed"),
        (runs[2], "run.succeeded"),
    ]
    replayed = await kept.archived.load(Run, runs[1])
    assert (replayed.status, replayed.reason) == ("failed", "worker-lost")
    assert (await kept.archived.load(Run, runs[1], version=1)).status == "requested"


async def test_an_archive_is_on_record_and_history_verifies(kept: Store) -> None:
    await kept.month()
    archive = await kept.move()

    done = (await kept.room.store.load(Operation, archive.id)).done
    _, runs = await kept.room.evidence.verify()

    assert isinstance(done, RunsArchived)
    assert (done.address, done.digest) == (archive.address, archive.digest)
    assert (runs.found, runs.archived, runs.events) == (0, 12, 16)


async def test_pages_of_history_are_the_same_with_archives(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infrastructure.archive.writing.MOST_EVENTS", 4)
    monkeypatch.setattr(leaving, "PAGE", 3)
    monkeypatch.setattr(leaving, "STREAMS", 2)
    runs = await kept.month()
    before = await kept.room.store.read_log("runs")
    archive = await kept.move()

    read = []
    after = 0
    while page := await kept.archived.read_log("runs", after=after, limit=2):
        read += page
        after = page[-1].position

    assert read == before
    first = await kept.archived.streams(archive, limit=1)
    others = await kept.archived.streams(archive, after=first[0].stream)
    assert [one.stream for one in [*first, *others]] == runs
    assert not (await kept.room.evidence.verify())[1].found


async def test_contents_of_archived_runs_go_but_not_what_can_still_be_read(
    kept: Store,
) -> None:
    await kept.month()
    going, said = content(), content()
    run = run_id()
    await kept.tell(run, requested(request=going), RunFailed(reason="x"), contents=1)
    await kept.tell(run, requested(request=said), contents=1)
    await kept.age("2025-01-20")
    await kept.room.tamper("DELETE FROM es.segments")
    await kept.room.seal()
    kept.in_use = {said.id}

    await kept.move()

    assert await kept.room.ask("SELECT id FROM es.contents") == [(said.id,)]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("UPDATE es.runs_events SET recorded_at = now()", "something happened in it"),
        (
            (
                "UPDATE es.runs_events SET topic = 'run.claimed'"
                " WHERE topic = 'run.failed'"
            ),
            "has not ended",
        ),
        ("DELETE FROM es.segments", "not sealed yet"),
        (
            (
                "INSERT INTO es.projections (name, version, log, position, active)"
                " VALUES ('late', 1, 'runs', 3, true)"
            ),
            "the projection late",
        ),
        (
            (
                "INSERT INTO es.projections (name, version, log, position, state)"
                " VALUES ('rebuilt', 2, 'runs', 0, 'building')"
            ),
            "the projection rebuilt",
        ),
    ],
)
async def test_a_month_stays_and_says_why(kept: Store, spoil: str, reason: str) -> None:
    await kept.month()
    await kept.room.tamper(spoil)

    assert reason in str((await kept.candidate()).stays)


async def test_a_month_whose_time_has_not_come_is_no_candidate(kept: Store) -> None:
    await kept.month()
    end = datetime(2025, 2, 1, tzinfo=UTC)

    assert not await kept.archiver.candidates(before=end - timedelta(seconds=1))
    assert (await kept.candidate(end)).partition == "runs_events_2025_01"


async def test_old_runs_without_a_month_stay_and_are_told(kept: Store) -> None:
    run = UUID(int=8 << 124)
    await kept.tell(run, requested(), RunFailed(reason="worker-lost"))
    assert not await kept.archiver.candidates(before=LONG_AFTER)
    await kept.age("2025-01-20")

    candidate = await kept.candidate()

    assert (candidate.partition, candidate.events) == ("runs_events_default", 2)
    assert "stay in the log" in str(candidate.stays)


async def test_without_the_owner_it_says_which_setting_is_missing(
    kept: Store,
) -> None:
    await kept.month()
    kept.room.database.migration_dsn = kept.room.database.dsn

    assert "LANGBUILDER_MIGRATION_URL" in str((await kept.candidate()).stays)


async def test_an_empty_month_goes_without_an_archive(kept: Store) -> None:
    await kept.month()
    await kept.room.tamper("DELETE FROM es.runs_events_2025_01")

    assert await kept.archiver.archive(await kept.candidate(), cause=because()) is None
    assert not await kept.archiver.candidates(before=LONG_AFTER)
    assert not await kept.archived.archives()


async def test_a_month_that_grew_while_it_was_read_stays(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    [run, *_] = await kept.month()
    candidate = await kept.candidate()
    leave = Archiver._leave

    async def after_another_event(*arguments: object) -> None:
        await kept.tell(run, RunFailed(reason="late"))
        await leave(*arguments)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Archiver, "_leave", after_another_event)
    with pytest.raises(NothingMovedError, match="has grown"):
        await kept.archiver.archive(candidate, cause=because())

    assert not await kept.archived.archives()
    assert len(await kept.room.store.read_stream("runs", run)) == 5


async def test_nothing_moves_while_history_is_verified(kept: Store) -> None:
    await kept.month()
    candidate = await kept.candidate()

    async with kept.room.evidence._connected():
        with pytest.raises(NothingMovedError, match="being verified"):
            await kept.archiver.archive(candidate, cause=because())

    assert not await kept.archived.archives()
    await kept.move()


async def test_an_archive_that_was_interrupted_is_begun_again_or_finished(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.month()
    candidate = await kept.candidate()

    async def killed(*_: object, **__: object) -> None:
        raise ConnectionAbortedError

    for where in ("_leave", "_recorded"):
        with monkeypatch.context() as patched:
            patched.setattr(Archiver, where, killed)
            with pytest.raises(ConnectionAbortedError):
                await kept.archiver.archive(candidate, cause=because())
    assert not (await kept.room.evidence.verify())[1].found

    [archive] = await kept.archiver.finish(cause=because())

    assert archive.events == 12
    assert (await kept.room.store.load(Operation, archive.id)).version == 1
    assert not await kept.archiver.finish(cause=because())
    assert not (await kept.room.evidence.verify())[1].found
    files = list(kept.file(archive.address).parents[2].rglob("*"))
    assert len([path for path in files if path.is_file()]) == 3


async def test_runs_go_on_while_a_month_moves(kept: Store) -> None:
    await kept.month()
    moved = asyncio.Event()

    async def write() -> int:
        written = 0
        while not moved.is_set() or not written:
            run = run_id(datetime.now(UTC))
            await kept.tell(run, requested(), RunFailed(reason="worker-lost"))
            written += 2
        return written

    writing = [asyncio.create_task(write()) for _ in range(4)]
    await kept.move()
    moved.set()

    written = sum(await asyncio.gather(*writing))
    assert len(await kept.archived.read_log("runs", limit=100_000)) == written + 16
    await kept.room.seal()
    assert not (await kept.room.evidence.verify())[1].found


def a_canarys_run() -> Run:
    run = Run.request(
        run_id(),
        flow=FLOW,
        flow_name="a canary",
        owner=OWNER,
        session="s",
        trigger="run",
        request=content(),
    )
    run.fail("worker-lost")
    return run


async def test_archived_events_of_an_erased_person_are_dark_and_verify(
    room: Room,
) -> None:
    keys = PostgresSubjectKeys(room.database, KEYS)
    room.store = PostgresEventStore(room.database, keys)
    await room.store.start()
    kept = Store(room)
    run = a_canarys_run()
    try:
        await kept.month()
        await room.append(run)
        await kept.age("2025-01-20")
        await room.tamper("DELETE FROM es.segments")
        await room.seal()
        archive = await kept.move()
        [chunk] = (await kept.archiver._shelf.manifest(archive)).chunks
        file = gzip.decompress(await room.blobs.get(chunk.address))
        assert (await kept.archived.load(Run, run.id)).flow_name == "a canary"

        await room.ask(
            "UPDATE es.subject_keys SET wrapped = '', key_id = '' RETURNING 1"
        )
        keys.forget(OWNER)

        assert b"canary" not in file
        with pytest.raises(StreamNotFoundError):
            await kept.archived.load(Run, run.id)
        erased = await kept.archived.archived(run.id)
        assert [type(one.event) for one in erased] == [ErasedEvent, ErasedEvent]
        assert not (await room.evidence.verify())[1].found
    finally:
        await room.store.stop()
