"""Snapshots: a load through one is a whole replay, only sooner, or there is none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from copy import deepcopy
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, strategies as st

from application.ports import StreamNotFoundError
from domain.flow.events import FlowEvent
from domain.flow.flow import Flow
from domain.kernel import DomainError
from domain.project.project import Project
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store import snapshots
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.event_store.snapshots import THRESHOLD
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.settings import Settings
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import KEYRING, because
from tests.golden.snapshots import story_of

OWNER, STORY = uuid4(), story_of("flow")
LONG = THRESHOLD + 50


@pytest.fixture
def keys(database: Database) -> PostgresSubjectKeys:
    return PostgresSubjectKeys(database, KEYRING)


@pytest.fixture
async def store(
    database: Database, keys: PostgresSubjectKeys
) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(database, keys)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture
async def whole(
    database: Database, keys: PostgresSubjectKeys
) -> AsyncIterator[PostgresEventStore]:
    """A store that knows of no snapshots, and so replays everything."""
    store = PostgresEventStore(database, keys)
    store._snapshots._keys = None
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


def flow_of(events: int, *, owner: UUID = OWNER) -> Flow:
    flow = Flow.create(uuid4(), owner=owner, project=uuid4(), name="0")
    for number in range(1, events):
        flow.rename(str(number))
    return flow


async def stored(store: PostgresEventStore, events: int) -> UUID:
    flow = flow_of(events)
    await store.save(flow, cause=because())
    return flow.id


async def rows(database: Database) -> list[tuple[Any, ...]]:
    async with database.pool.connection() as connection:
        found = await connection.execute(
            "SELECT originator_id, originator_version FROM es.snapshots ORDER BY 1, 2"
        )
        return await found.fetchall()


async def change(database: Database, change: str, **words: object) -> None:
    async with database.pool.connection() as connection:
        done = await connection.execute(f"UPDATE es.snapshots {change}", words)
        assert done.rowcount == 1


async def idle(store: PostgresEventStore) -> None:
    """Wait until no snapshot is wanted any more."""
    while store._snapshots._wanted:
        await asyncio.sleep(0.01)


def known(flow: Flow) -> dict[str, Any]:
    return vars(flow)


async def test_who_waited_for_a_long_stream_has_one_taken_in_the_background(
    store: PostgresEventStore, whole: PostgresEventStore, database: Database
) -> None:
    flow = await stored(store, LONG)
    assert await rows(database) == []

    first = await store.load(Flow, flow)
    await idle(store)

    assert await rows(database) == [(flow, LONG)]
    second, replayed = await store._loaded(Flow, flow, 2**62)
    assert replayed == 0
    assert known(first) == known(second) == known(await whole.load(Flow, flow))


async def test_a_short_stream_and_another_kind_have_none(
    store: PostgresEventStore, database: Database
) -> None:
    flow = await stored(store, THRESHOLD - 1)
    project = Project.open(uuid4(), owner=OWNER, name="0")
    for number in range(1, LONG):
        project.rename(str(number))
    await store.save(project, cause=because())

    await store.load(Flow, flow)
    await store.load(Project, project.id)
    await idle(store)

    assert await rows(database) == []


async def test_a_stream_goes_on_from_its_snapshot(
    store: PostgresEventStore, whole: PostgresEventStore, database: Database
) -> None:
    flow = await stored(store, 5)
    await store._snapshots.take(Flow, flow)
    loaded = await store.load(Flow, flow)
    loaded.rename("after it")
    loaded.lock()
    await store.save(loaded, cause=because())

    resumed, replayed = await store._loaded(Flow, flow, 2**62)

    assert replayed == 2
    assert (resumed.name, resumed.locked, resumed.version) == ("after it", True, 7)
    assert known(resumed) == known(await whole.load(Flow, flow))


async def test_a_new_one_takes_the_place_of_the_old(
    store: PostgresEventStore, database: Database
) -> None:
    flow, other = await stored(store, 5), await stored(store, 3)
    for one in (flow, other):
        await store._snapshots.take(Flow, one)
    loaded = await store.load(Flow, flow)
    loaded.rename("newer")
    await store.save(loaded, cause=because())

    await store._snapshots.take(Flow, flow)
    await store._snapshots.take(Flow, flow)

    assert await rows(database) == sorted([(flow, 6), (other, 3)])


async def test_before_its_snapshot_a_stream_is_replayed(
    store: PostgresEventStore,
) -> None:
    flow = await stored(store, 9)
    await store._snapshots.take(Flow, flow)
    events = await store.read_stream("core", flow)

    for event in events:
        then = await store.load(Flow, flow, version=event.version)
        assert (then.name, then.version) == (str(event.version - 1), event.version)
    last = events[-1]
    as_of = await store.load(Flow, flow, at=last.at)
    assert as_of.version == last.version


@pytest.mark.parametrize(
    "harm",
    [
        "SET state = set_byte(state, 20, get_byte(state, 20) # 1)",
        "SET state = ''",
        "SET schema_version = 0",
        "SET schema_version = 99",
        "SET topic = 'thread'",
        "SET subject = gen_random_uuid()",
        "SET subject = NULL",
        "SET originator_version = originator_version - 1",
        "SET originator_version = originator_version + 1",
    ],
)
async def test_one_that_was_tampered_with_counts_as_none(
    store: PostgresEventStore,
    whole: PostgresEventStore,
    database: Database,
    harm: str,
) -> None:
    flow = await stored(store, 5)
    await store._snapshots.take(Flow, flow)
    await change(database, harm)

    loaded, replayed = await store._loaded(Flow, flow, 2**62)

    assert replayed == 5
    assert known(loaded) == known(await whole.load(Flow, flow))


async def test_one_of_another_stream_counts_as_none(
    store: PostgresEventStore, database: Database
) -> None:
    flow, other = await stored(store, 5), await stored(store, 5)
    await store._snapshots.take(Flow, other)
    await change(database, "SET originator_id = %(flow)s", flow=flow)

    loaded, replayed = await store._loaded(Flow, flow, 2**62)

    assert (loaded.id, loaded.name, replayed) == (flow, "4", 5)


async def test_the_next_one_replaces_one_that_cannot_be_read(
    store: PostgresEventStore, database: Database
) -> None:
    flow = await stored(store, LONG)
    await store._snapshots.take(Flow, flow)
    await change(database, "SET state = 'nonsense'")

    await store.load(Flow, flow)
    await idle(store)

    assert (await store._loaded(Flow, flow, 2**62))[1] == 0


async def test_those_of_an_older_shape_are_removed_at_the_next_start(
    store: PostgresEventStore, database: Database, keys: PostgresSubjectKeys
) -> None:
    flow = await stored(store, 3)
    await store._snapshots.take(Flow, flow)
    await change(database, "SET schema_version = 0")

    await store._snapshots._forget_old_shapes()

    assert await rows(database) == []


async def test_nothing_in_one_can_be_read_without_its_key(
    store: PostgresEventStore, database: Database
) -> None:
    flow = Flow.create(uuid4(), owner=OWNER, project=uuid4(), name="a canary's words")
    await store.save(flow, cause=because())
    await store._snapshots.take(Flow, flow.id)

    async with database.pool.connection() as connection:
        row = await connection.execute("SELECT state, subject FROM es.snapshots")
        [(state, subject)] = await row.fetchall()

    assert b"canary" not in state
    assert subject == OWNER


async def test_somebody_erased_is_not_found_through_one_and_gets_none(
    store: PostgresEventStore, database: Database, keys: PostgresSubjectKeys
) -> None:
    flow = await stored(store, LONG)
    await store._snapshots.take(Flow, flow)
    async with database.pool.connection() as connection:
        await connection.execute("UPDATE es.subject_keys SET wrapped = '', key_id = ''")
    keys.forget(OWNER)

    with pytest.raises(StreamNotFoundError):
        await store.load(Flow, flow)
    await change(database, "SET originator_version = 1")
    store._snapshots.want(Flow, flow)
    await idle(store)

    assert await rows(database) == [(flow, 1)]


async def test_an_erasure_removes_them_and_no_late_one_comes_after_it(
    store: PostgresEventStore,
    database: Database,
    keys: PostgresSubjectKeys,
    settings: Settings,
) -> None:
    flow, kept = await stored(store, 3), flow_of(3, owner=uuid4())
    await store.save(kept, cause=because())
    for one in (flow, kept.id):
        await store._snapshots.take(Flow, one)
    elsewhere = PostgresSubjectKeys(database, KEYRING)
    estate = PostgresEstate(
        database, elsewhere, LocalBlobs(settings.data_path / "blobs")
    )

    await estate.close(OWNER)
    gone = await estate.clear(OWNER)

    assert gone["snapshots"] == 1
    assert keys.known(OWNER) is not None  # this process has not heard of it yet
    assert await store._snapshots.take(Flow, flow) is None
    assert await rows(database) == [(kept.id, 3)]


async def test_what_cannot_be_taken_keeps_nobody_else_from_theirs(
    store: PostgresEventStore, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    flow, harmed = await stored(store, 3), await stored(store, 3)
    take = store._snapshots._load

    async def load(kind: Any, stream: UUID) -> Any:
        if stream == harmed:
            raise OSError("it burns")
        return await take(kind, stream)

    store._snapshots._load = load
    for one in (harmed, flow):
        store._snapshots.want(Flow, one)
    await idle(store)

    assert await rows(database) == [(flow, 3)]
    assert "could not be taken" in caplog.text


async def test_only_so_many_may_wait_for_theirs(
    store: PostgresEventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "WAITING", 2)
    streams = [uuid4() for _ in range(4)]

    for stream in streams:
        store._snapshots.want(Flow, stream)

    assert list(store._snapshots._wanted) == streams[:2]


async def test_without_keys_there_are_none(database: Database) -> None:
    keyless = PostgresEventStore(database)

    assert keyless._snapshots.shape(Flow) is None


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[FlowEvent]], list[int]]:
    """A flow's events in saves, and after which of them a snapshot is taken."""
    begun, *later = STORY
    edits = st.lists(st.sampled_from(later), min_size=1, max_size=6)
    saves: list[Any] = [[begun], *draw(st.lists(edits, max_size=6))]
    points = draw(st.lists(st.integers(0, len(saves) - 1), max_size=4, unique=True))
    return saves, points


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_whatever_happened_and_whenever_they_were_taken_a_load_is_a_replay(
    store: PostgresEventStore, whole: PostgresEventStore
) -> None:
    loop = asyncio.get_running_loop()

    async def holds(saves: list[list[FlowEvent]], points: list[int]) -> None:
        written = Flow(uuid4())
        for number, events in enumerate(saves):
            for event in _fitting(written, events):
                written._record(event)
            await store.save(written, cause=because())
            if number in points:
                await store._snapshots.take(Flow, written.id)
            assert known(await store.load(Flow, written.id)) == known(
                await whole.load(Flow, written.id)
            )
        for version in range(1, written.version + 1):
            assert known(await store.load(Flow, written.id, version=version)) == known(
                await whole.load(Flow, written.id, version=version)
            )

    @given(histories())
    def check(history: tuple[list[list[FlowEvent]], list[int]]) -> None:
        asyncio.run_coroutine_threadsafe(holds(*history), loop).result()

    await asyncio.to_thread(check)


def _fitting(flow: Flow, events: list[FlowEvent]) -> list[FlowEvent]:
    """Return those of *events* that can happen to *flow*, one after the other."""
    tried, fitting = deepcopy(flow), []
    for event in events:
        with suppress(DomainError):
            tried.replay(event)
            fitting.append(event)
    return fitting
