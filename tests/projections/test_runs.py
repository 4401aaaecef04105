"""Runs, and what their vertices came to, as they can be asked for."""

from uuid import UUID, uuid4

import pytest

from domain.flow.events import BuildsCleared, FlowDeleted
from domain.run.events import (
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunFailed,
    RunRequested,
    RunSucceeded,
    VertexBuilt,
    VertexFailed,
)
from projections.runs.projector import RunsProjector
from projections.runs.views import RunViews
from projections.transactions.projector import TransactionsProjector
from projections.transactions.views import TransactionViews
from projections.vertex_builds.projector import VertexBuildsProjector
from projections.vertex_builds.views import BuildViews
from tests.projections.journal import OTHER, OWNER, Journal, content, ids

pytestmark = pytest.mark.server

FLOW = UUID(int=2)


def requested(flow: UUID = FLOW) -> RunRequested:
    return RunRequested(
        flow=flow,
        flow_name="Flow",
        owner=OWNER,
        session="s",
        trigger="build",
        request=content(),
        flow_version=3,
    )


def built(vertex: str, *reads: str) -> VertexBuilt:
    return VertexBuilt(flow=FLOW, vertex=vertex, content=content(), reads=reads)


def failed(vertex: str, *reads: str) -> VertexFailed:
    return VertexFailed(
        flow=FLOW, vertex=vertex, reason="model-failed", content=content(), reads=reads
    )


async def test_runs_are_shown_as_they_stand(journal: Journal) -> None:
    runs = [uuid4() for _ in range(5)]
    claimed = RunClaimed(worker="w", attempt=1)
    ends = (
        (RunSucceeded(),),
        (RunFailed(reason="worker-lost"),),
        (RunCancelRequested(), RunCancelled()),
        (RunCancelRequested(),),
        (),
    )
    for run, end in zip(runs, ends, strict=True):
        await journal.tell(run, requested(), claimed, *end)
    waiting = uuid4()
    await journal.tell(waiting, requested(flow=OTHER))
    await journal.project(RunsProjector())

    views = RunViews(journal.database.engine)
    page, total = await views.page(OWNER, size=10)
    assert (ids(page), total) == ([waiting, *reversed(runs)], 6)
    assert [row.status for row in reversed(page)] == [
        "succeeded",
        "failed",
        "cancelled",
        "cancelling",
        "claimed",
        "requested",
    ]
    assert ids(await views.unfinished()) == [runs[3], runs[4], waiting]
    lost = await views.get(runs[1])
    assert lost is not None
    assert (lost.reason, lost.version, lost.flow_version) == ("worker-lost", 3, 3)
    assert lost.claimed_at is not None
    assert lost.ended_at is not None
    assert ids((await views.page(OWNER, flow=FLOW, page=2, size=3))[0]) == [
        runs[1],
        runs[0],
    ]
    assert await views.page(OTHER) == ([], 0)


async def test_the_newest_build_of_each_vertex_is_shown(journal: Journal) -> None:
    first, second = uuid4(), uuid4()
    again = built("A")
    await journal.tell(first, built("A"), built("B", "A"), built("A\0"))
    await journal.tell(second, again, failed("B", "A"))
    await journal.project(VertexBuildsProjector())

    builds = await BuildViews(journal.database.engine).latest(FLOW)
    assert [(b.vertex, b.valid, b.run_id) for b in builds] == [
        ("A\ufffd", True, first),
        ("A", True, second),
        ("B", False, second),
    ]
    assert builds[1].content == again.content
    assert len({build.build_id for build in builds}) == 3


async def test_builds_after_a_clearing_are_shown_again(journal: Journal) -> None:
    views = BuildViews(journal.database.engine)
    await journal.tell(uuid4(), built("A"), built("B"))
    await journal.tell(FLOW, BuildsCleared())
    await journal.project(VertexBuildsProjector())
    assert await views.latest(FLOW) == []

    await journal.tell(uuid4(), built("B"))
    await journal.project(VertexBuildsProjector())
    assert [build.vertex for build in await views.latest(FLOW)] == ["B"]

    await journal.tell(FLOW, FlowDeleted())
    await journal.project(VertexBuildsProjector())
    assert await views.latest(FLOW) == []


async def test_each_edge_read_is_a_transaction(journal: Journal) -> None:
    run = uuid4()
    source = built("A")
    wrong = failed("C", "A", "B")
    await journal.tell(run, source, built("B", "A"), wrong)
    await journal.project(TransactionsProjector())

    views = TransactionViews(journal.database.engine)
    rows, total = await views.page(FLOW)
    assert total == 4
    assert [(r.vertex_id, r.target_id, r.status, r.error) for r in rows] == [
        ("A", "B", "success", None),
        ("A", "C", "success", None),
        ("B", "C", "success", None),
        ("C", None, "error", "model-failed"),
    ]
    assert rows[0].inputs_content == rows[0].outputs_content == source.content
    assert rows[3].outputs_content == wrong.content
    assert ids((await views.page(FLOW, page=2, size=3))[0]) == [rows[3].id]

    await journal.tell(FLOW, FlowDeleted())
    await journal.project(TransactionsProjector())
    assert await views.page(FLOW) == ([], 0)
