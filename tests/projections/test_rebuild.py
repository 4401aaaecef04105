"""Rebuilding: equal to the live one, beside it, again after an interruption."""

import asyncio
import os
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, MetaData, Text

from domain.file.events import FileRenamed, FileUploaded
from domain.flow.document import difference
from domain.flow.events import BuildsCleared, FlowPublished, FlowRenamed
from domain.mcp_server.events import McpServerConfigured
from domain.project.events import ProjectOpened, ProjectRenamed
from domain.run.events import RunClaimed, RunSucceeded
from domain.thread.events import ThreadRenamed
from domain.user.events import ApiKeyIssued, UserRegistered, VariableDefined
from infrastructure.postgres import Database
from projections import generations, rebuild as rebuilding
from projections.all import ALL
from projections.rebuild import rebuild
from projections.refusals import (
    RebuildRunningError,
)
from projections.status import ProjectionStatus, status
from tests.projections.journal import OWNER, Journal, content, until
from tests.projections.probe import PROBES, Probe, ProbeViews, named, renamed
from tests.projections.test_flows import created, drawn
from tests.projections.test_messages import opened, posted
from tests.projections.test_runs import built, failed, requested

pytestmark = pytest.mark.server

FLOW = UUID(int=2)


@pytest.fixture
def views(journal: Journal) -> ProbeViews:
    return ProbeViews(journal.database.engine)


async def schemas(database: Database, name: str) -> list[int]:
    async with database.pool.connection() as connection:
        return await generations.numbers(connection, name)


async def told(journal: Journal) -> list[ProjectionStatus]:
    return await status(journal.database, journal.store)


async def a_little_of_everything(journal: Journal) -> None:
    thread, run = uuid4(), uuid4()
    await journal.tell(
        OWNER,
        UserRegistered(username="ada", active=True),
        ApiKeyIssued(key=uuid4(), name="k", hint="sk-12345"),
        VariableDefined(variable=uuid4(), name="V", kind="Generic", secret=uuid4()),
    )
    await journal.tell(
        uuid4(), ProjectOpened(owner=OWNER, name="P"), ProjectRenamed(name="Q")
    )
    edit = difference(drawn("A"), drawn("A", "B"))
    await journal.tell(FLOW, created(document=drawn("A")), *edit)
    await journal.tell(
        FLOW,
        FlowPublished(
            owner=OWNER,
            platform="openwebui",
            platform_url="https://chat.example",
            external_id="p",
            model_name="P",
        ),
    )
    await journal.tell(
        uuid4(),
        FileUploaded(
            owner=OWNER, name="a.md", media_type="text/markdown", content=content()
        ),
        FileRenamed(title="b"),
    )
    await journal.tell(
        uuid4(), McpServerConfigured(owner=OWNER, name="m", secret=uuid4())
    )
    await journal.tell(run, requested(), RunClaimed(worker="w", attempt=1))
    await journal.tell(run, built("A"), failed("B", "A"), RunSucceeded())
    await journal.tell(thread, opened(), posted(), ThreadRenamed(session="t"))
    await journal.tell(FLOW, BuildsCleared(), FlowRenamed(name="after"))
    await journal.tell(uuid4(), requested(), built("B"))


async def test_a_rebuild_equals_the_live_projection(stored_journal: Journal) -> None:
    journal = stored_journal
    async with journal.followed_by(*ALL) as daemon:
        await a_little_of_everything(journal)
        assert await daemon.reached(journal.position, within=30)
    for projector in ALL:
        live = await journal.rows(projector)
        heard: list[tuple[int, int]] = []
        made = await rebuild(
            journal.database,
            journal.store,
            projector,
            lambda done, total, heard=heard: heard.append((done, total)),  # type: ignore[misc]  # a default binds it
        )

        assert made.generation == 2
        assert any(live.values()), projector.name
        assert await journal.rows(projector) == live
        assert heard[-1][0] == heard[-1][1] > 0


async def test_a_rebuild_of_nothing_gives_nothing(
    journal: Journal, views: ProbeViews
) -> None:
    await journal.project(Probe())
    heard: list[tuple[int, int]] = []
    made = await rebuild(
        journal.database, journal.store, Probe(), lambda *told: heard.append(told)
    )

    assert made.generation == 2
    assert heard[-1] == (0, 0)
    assert await views.all() == {}


async def test_a_projection_never_seen_before_can_be_rebuilt(
    journal: Journal, views: ProbeViews
) -> None:
    project = uuid4()
    await journal.tell(project, named("a"))
    assert (await rebuild(journal.database, journal.store, Probe())).generation == 1
    assert await views.all() == {project: ("a", 1)}


async def test_an_interrupted_rebuild_goes_on_where_it_stopped(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PAGE", 2)
    projects = [uuid4() for _ in range(5)]
    for project in projects:
        await journal.tell(project, named("a"))
    await journal.project(Probe())

    class EnoughError(Exception):
        """The operator pressed Ctrl-C."""

    def enough(done: int, total: int) -> None:
        if done >= 4:
            raise EnoughError

    with pytest.raises(EnoughError):
        await rebuild(journal.database, journal.store, Probe(), enough)
    found = await told(journal)
    assert {(s.generation, s.position, s.state) for s in found if s.log == "core"} == {
        (1, 5, "live"),
        (2, 4, "interrupted"),
    }
    again = Probe()
    assert (await rebuild(journal.database, journal.store, again)).generation == 2
    assert again.batches == [[5]]
    assert await views.all() == dict.fromkeys(projects, ("a", 1))


async def test_a_rebuild_started_for_another_shape_is_not_gone_on_with(
    journal: Journal, views: ProbeViews
) -> None:
    await journal.tell(OWNER, named("a"))
    await journal.project(Probe())

    class Changed(Probe):
        version = 2

    async with journal.database.pool.connection() as connection:
        await generations.make(connection, Changed(), 2)
    assert (await rebuild(journal.database, journal.store, Probe())).generation == 3
    assert await views.all() == {OWNER: ("a", 1)}


async def test_a_rebuild_beside_the_live_daemon_loses_and_doubles_nothing(
    stored_journal: Journal,
) -> None:
    journal, views = stored_journal, ProbeViews(stored_journal.database.engine)
    projects = [uuid4() for _ in range(40)]
    async with journal.followed_by(Probe()) as daemon:
        for project in projects[:20]:
            await journal.tell(project, named("a"), renamed("b"))

        async def go_on() -> None:
            for project in projects[20:]:
                await journal.tell(project, named("a"), renamed("b"))
                assert await daemon.reached(journal.position, within=30)
                assert (await views.all())[project] == ("b", 2)

        writing = asyncio.create_task(go_on())
        for number in (2, 3, 4):
            made = await rebuild(journal.database, journal.store, Probe())
            assert made.generation == number
        await writing
        after = uuid4()
        await journal.tell(after, named("a"), renamed("b"))
        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == dict.fromkeys([*projects, after], ("b", 2))
    assert await schemas(journal.database, "probe") == [3, 4]


async def test_two_rebuilds_of_one_projection_do_not_run_together(
    journal: Journal,
) -> None:
    await journal.tell(OWNER, named("a"))
    async with journal.followed_by(Probe()) as daemon:
        await until(lambda: daemon.leads("probe"))
        async with journal.database.pool.connection() as connection:
            await generations.make(connection, Probe(), 2)
        async with rebuilding._alone(journal.database, Probe(), wait=False):
            shown = {s.generation: s for s in await told(journal)}
        here = f":{os.getpid()}"
        assert str(shown[1].leader).endswith(here)
        assert (shown[1].state, shown[1].builder) == ("live", None)
        assert str(shown[2].builder).endswith(here)
        assert (shown[2].state, shown[2].leader) == ("building", None)
    async with rebuilding._alone(journal.database, Probe(), wait=False):
        with pytest.raises(RebuildRunningError):
            await rebuild(journal.database, journal.store, Probe())
    assert (await rebuild(journal.database, journal.store, Probe())).generation == 2


async def test_a_rebuild_carries_over_what_the_live_one_holds(
    journal: Journal, views: ProbeViews
) -> None:
    good, bad = uuid4(), uuid4()
    await journal.tell(bad, named("a"), renamed("poison"), renamed("poison again"))
    await journal.tell(good, named("a"))
    await journal.project(Probe())
    await rebuild(journal.database, journal.store, Probe())
    assert await views.all() == {good: ("a", 1), bad: ("a", 1)}
    held = [s for s in await told(journal) if s.dead_letters]
    assert {(s.generation, s.dead_letters) for s in held} == {(1, 1), (2, 1)}

    cured = Probe()
    cured.poisonous = False
    await rebuild(journal.database, journal.store, cured)
    assert await views.all() == {good: ("a", 1), bad: ("poison again", 3)}


async def test_tables_that_are_gone_are_made_anew_at_the_start(
    journal: Journal, views: ProbeViews
) -> None:
    await journal.tell(OWNER, named("a"))
    await journal.project(Probe())
    async with journal.database.pool.connection() as connection:
        await connection.execute("DROP TABLE rm_probe_v1.probes CASCADE")
    await journal.project(Probe())
    assert await views.all() == {OWNER: ("a", 1)}


async def test_tables_of_another_shape_are_rebuilt_at_the_start(
    journal: Journal,
) -> None:
    await journal.tell(OWNER, named("a"))
    await journal.project(Probe())

    class Wider(Probe):
        tables = MetaData()

    wider = Wider()
    PROBES.to_metadata(wider.tables).append_column(Column("x", Text))
    # The table that the fold writes to has a column less; the new one is null.
    await journal.project(wider)
    assert (await journal.rows(wider))["probes"] == [(OWNER, "a", 1, None)]
    assert await schemas(journal.database, "probe") == [1, 2]


async def test_an_older_server_leaves_newer_tables_alone(
    journal: Journal, views: ProbeViews
) -> None:
    class Newer(Probe):
        version = 2

    await journal.project(Probe())
    await journal.project(Newer())
    async with journal.followed_by(Newer()) as newer:
        async with journal.followed_by(Probe()) as older:
            await journal.tell(OWNER, named("a"))
            assert await older.reached(journal.position, within=30)
            assert not older.leads("probe")
        assert newer.leads("probe")
    async with journal.followed_by(Probe()) as older:
        await journal.tell(OWNER, renamed("b"))
        assert not await older.reached(journal.position, within=0.3)
        async with journal.followed_by(Newer()) as newer:
            assert await newer.reached(journal.position, within=30)
    assert await views.all() == {OWNER: ("b", 2)}
    assert await schemas(journal.database, "probe") == [1, 2]


async def test_poison_that_comes_last_does_not_stop_the_swap(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal.followed_by(Probe()) as daemon:
        await journal.tell(OWNER, named("a"))
        assert await daemon.reached(journal.position, within=30)
        index, fill = generations.index, rebuilding._Rebuild._fill

        async def meanwhile(*given: object) -> None:
            await index(*given)  # type: ignore[arg-type]  # as it was called
            monkeypatch.setattr(rebuilding._Rebuild, "_fill", late)

        late_ones: list[object] = []

        async def late(*given: object) -> int:
            if late_ones:
                return await fill(*given)  # type: ignore[arg-type]  # as it was called
            # After the last page was read, and before the swap.
            late_ones.append(await journal.tell(OWNER, renamed("poison")))
            assert await daemon.reached(journal.position, within=30)
            async with asyncio.timeout(30):
                while (await daemon.status())[0].position < 2:
                    await asyncio.sleep(0.01)
            return 0

        monkeypatch.setattr(generations, "index", meanwhile)
        assert (await rebuild(journal.database, journal.store, Probe())).generation == 2
    assert late_ones
    assert await views.all() == {OWNER: ("a", 1)}
