"""How a rebuild ends otherwise: failed, cancelled, or swapped back."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from application.ports import Actor, Cause, Recorded
from domain.kernel import Log
from domain.operation.events import RebuildCancelled
from projections import rebuild as rebuilding
from projections.checkpoints import Failure
from projections.rebuild import cancel, rebuild, swap_back
from projections.refusals import (
    NoRebuildError,
    NothingBeforeError,
    OtherVersionError,
    RebuildCancelledError,
    RebuildFailedError,
)
from projections.status import ProjectionStatus
from projections.upkeep import Upkeep
from tests.projections.journal import Journal, until
from tests.projections.probe import Probe, ProbeViews, named, renamed
from tests.projections.test_rebuild import schemas, told

pytestmark = pytest.mark.server

type ReadLog = Callable[[Log], Awaitable[list[Recorded]]]


@pytest.fixture
def views(journal: Journal) -> ProbeViews:
    return ProbeViews(journal.database.engine)


async def test_a_rebuild_stops_at_the_first_event_that_fails(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = uuid4(), uuid4()
    await journal.tell(good, named("a"))
    await journal.tell(bad, named("a"), renamed("poison"), renamed("b"))
    await journal.tell(good, renamed("b"))
    cured = Probe()
    cured.poisonous = False
    await journal.project(cured)
    live = await views.all()

    with pytest.raises(RebuildFailedError) as failed:
        await rebuild(journal.database, journal.store, Probe())

    failure = Failure(
        reason="PoisonError: poison",
        log="core",
        position=3,
        stream=bad,
        tag="project.renamed",
    )
    assert failed.value.failure == failure
    stopped = [s for s in await told(journal) if s.generation == 2 and s.log == "core"]
    assert [(s.state, s.position, s.failure) for s in stopped] == [
        ("failed", 2, failure)
    ]
    assert await views.all() == live
    async with journal.followed_by(cured) as daemon:
        await journal.tell(bad, renamed("c"))
        assert await daemon.reached(journal.position, within=30)
    assert (await views.all())[bad] == ("c", 4)

    made = await rebuild(journal.database, journal.store, cured)
    assert (made.generation, made.events) == (3, 6)
    assert await schemas(journal.database, "probe") == [1, 3]
    assert (await views.all())[bad] == ("c", 4)


async def test_a_cancelled_rebuild_goes_on_later(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PAGE", 2)
    projects = [uuid4() for _ in range(7)]
    for project in projects:
        await journal.tell(project, named("a"))
    await journal.project(Probe())
    with pytest.raises(NoRebuildError):
        await cancel(journal.database, Probe())

    slow, go_on = Probe(), asyncio.Event()
    read = journal.store.read_log

    async def slowly(log: Log, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        if after:
            await go_on.wait()
        return await read(log, after=after, limit=limit)

    monkeypatch.setattr(journal.store, "read_log", slowly)
    rebuilt = asyncio.create_task(rebuild(journal.database, journal.store, slow))
    await until(lambda: slow.batches)
    await cancel(journal.database, Probe())
    go_on.set()
    with pytest.raises(RebuildCancelledError):
        await rebuilt

    assert slow.batches == [[1, 2], [3, 4]]
    assert {s.state for s in await told(journal) if s.generation == 2} == {
        "interrupted"
    }
    again = Probe()
    assert (await rebuild(journal.database, journal.store, again)).generation == 2
    assert again.batches == [[3, 4], [5, 6], [7]]
    assert await views.all() == dict.fromkeys(projects, ("a", 1))


def held_up(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, *, at: int
) -> tuple[ReadLog, asyncio.Event]:
    """Let who reads on after *at* wait for the event; return how not to wait."""
    read, go_on = journal.store.read_log, asyncio.Event()

    async def slowly(log: Log, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        if after == at:
            await go_on.wait()
        return await read(log, after=after, limit=limit)

    monkeypatch.setattr(journal.store, "read_log", slowly)
    return read, go_on


async def test_anybody_may_ask_how_fast_it_goes_and_stop_it(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PAGE", 2)
    monkeypatch.setattr(rebuilding, "TOLD_EVERY", 0.0)
    for _ in range(7):
        await journal.tell(uuid4(), named("a"))
    await journal.project(Probe())
    read, go_on = held_up(journal, monkeypatch, at=4)

    async def second() -> ProjectionStatus:
        return next(one for one in await told(journal) if one.generation == 2)

    rebuilt = asyncio.create_task(rebuild(journal.database, journal.store, Probe()))
    async with asyncio.timeout(30):
        while not any(one.seconds_left for one in await told(journal)):
            await asyncio.sleep(0.01)
    found = await second()
    upkeep = Upkeep(journal.database, journal.store, [Probe()])
    user = uuid4()
    cause = Cause(actor=Actor(user=user), command_id=uuid4(), correlation_id=uuid4())
    await upkeep.cancel("probe", cause=cause)
    go_on.set()
    with pytest.raises(RebuildCancelledError):
        await rebuilt

    assert found.events_per_second
    assert found.seconds_left
    stopped = await second()
    assert (stopped.events_per_second, stopped.seconds_left) == (None, None)
    [*_, recorded] = await read("core")
    assert recorded.event == RebuildCancelled(projection="probe", generation=2)
    assert recorded.metadata["actor"] == str(user)


async def test_the_generation_before_is_brought_level_and_served_again(
    stored_journal: Journal,
) -> None:
    journal, views = stored_journal, ProbeViews(stored_journal.database.engine)
    one, two = uuid4(), uuid4()
    await journal.tell(one, named("a"))
    async with journal.followed_by(Probe()) as daemon:
        with pytest.raises(NothingBeforeError):
            await swap_back(journal.database, journal.store, Probe())
        await rebuild(journal.database, journal.store, Probe())
        await journal.tell(two, named("b"), renamed("c"))
        assert await daemon.reached(journal.position, within=30)

        back = await swap_back(journal.database, journal.store, Probe())

        assert back.generation == 1
        assert await views.all() == {one: ("a", 1), two: ("c", 2)}
        await journal.tell(two, renamed("d"))
        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == {one: ("a", 1), two: ("d", 3)}
        states = {(s.generation, s.state) for s in await told(journal)}
        assert states == {(1, "live"), (2, "retired")}

        forth = await swap_back(journal.database, journal.store, Probe())
        assert forth.generation == 2
        assert await views.all() == {one: ("a", 1), two: ("d", 3)}
        assert (await rebuild(journal.database, journal.store, Probe())).generation == 3
    assert await schemas(journal.database, "probe") == [2, 3]


async def test_a_generation_before_of_another_version_is_not_served(
    journal: Journal,
) -> None:
    class Newer(Probe):
        version = 2

    await journal.project(Probe())
    await journal.project(Newer())
    with pytest.raises(OtherVersionError):
        await swap_back(journal.database, journal.store, Newer())
