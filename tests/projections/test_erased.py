"""Projections and the events of people who were erased."""

from typing import override
from uuid import UUID, uuid4

import pytest

from application.ports import SYSTEM, Cause
from domain.flow.events import FlowDeleted
from domain.project.project import Project
from domain.run.events import RunRequested, VertexBuilt
from domain.thread.events import MessagePosted, ThreadOpened
from domain.user.events import ApiKeyIssued, UserErased, UserRegistered
from infrastructure.event_store.memory import MemoryEventStore
from projections.api_keys.projector import ApiKeysProjector
from projections.messages.projector import MessagesProjector
from projections.projector import Projector
from projections.projects.projector import ProjectsProjector
from projections.runs.projector import RunsProjector
from projections.transactions.projector import TransactionsProjector
from projections.users.projector import UsersProjector
from projections.vertex_builds.projector import VertexBuildsProjector
from tests.projections.journal import OTHER, OWNER, Journal, content

FLOW, OTHERS = UUID(int=2), UUID(int=3)


async def test_what_was_erased_is_passed_over(journal: Journal) -> None:
    assert isinstance(journal.store, MemoryEventStore)
    theirs = Project.open(uuid4(), owner=OWNER, name="a canary")
    another = Project.open(uuid4(), owner=OTHER, name="a bird")
    for project in (theirs, another):
        cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
        saved = await journal.store.save(project, cause=cause)
        journal.position = journal.position.upto(saved.position)
    journal.store.keys.destroy(OWNER)

    await journal.project(ProjectsProjector())

    shown = await journal.rows(ProjectsProjector())
    assert [row[0] for row in shown["projects"]] == [another.id]
    async with journal.database.pool.connection() as connection:
        rows = await connection.execute("SELECT count(*) FROM es.dead_letters")
        assert await rows.fetchone() == (0,)


def requested(owner: UUID) -> RunRequested:
    return RunRequested(
        flow=FLOW,
        flow_name="a canary",
        owner=owner,
        session="s",
        trigger="build",
        request=content(),
    )


def built(flow: UUID) -> VertexBuilt:
    return VertexBuilt(flow=flow, vertex="v", content=content(), reads=("u",))


def said(flow: UUID) -> tuple[ThreadOpened, MessagePosted]:
    posted = MessagePosted(
        message=uuid4(),
        flow=flow,
        session="s",
        sender="User",
        sender_name="a canary",
        category="message",
        content=content(),
    )
    return ThreadOpened(flow=flow, session="s", owner=OWNER), posted


@pytest.mark.parametrize("late", [False, True])
async def test_runs_of_the_erased_leave_the_table_and_none_comes_after(
    journal: Journal, *, late: bool
) -> None:
    projector, theirs, others = RunsProjector(), uuid4(), uuid4()
    if late:
        await journal.tell(OWNER, UserErased())
        await journal.project(projector)
    await journal.tell(theirs, requested(OWNER))
    await journal.tell(others, requested(OTHER))
    await journal.project(projector)
    if not late:
        await journal.tell(OWNER, UserErased())
        await journal.project(projector)

    assert [row[0] for row in (await journal.rows(projector))["runs"]] == [others]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    ("projector", "tables"),
    [
        (MessagesProjector(), ("messages", "message_threads")),
        (TransactionsProjector(), ("transactions", "transaction_results")),
        (VertexBuildsProjector(), ("vertex_builds",)),
    ],
)
async def test_what_a_deleted_flow_left_leaves_the_tables_and_none_comes_after(
    journal: Journal, projector: Projector, tables: tuple[str, ...], *, late: bool
) -> None:
    if late:
        await journal.tell(FLOW, FlowDeleted())
        await journal.project(projector)
    for flow in (FLOW, OTHERS):
        await journal.tell(uuid4(), built(flow))
        await journal.tell(uuid4(), *said(flow))
    await journal.project(projector)
    if not late:
        await journal.tell(FLOW, FlowDeleted())
        await journal.project(projector)

    rows = await journal.rows(projector)
    for table in tables:
        assert len(rows[table]) == 1
        assert str(OTHERS) in repr(rows[table])


class PickyUsers(UsersProjector):
    """Cannot take in whoever is called a canary."""

    @override
    def fold(self, batch, rows):  # type: ignore[no-untyped-def]  # the parent's
        for recorded in batch:
            if getattr(recorded.event, "username", "") == "a canary":
                raise ValueError(recorded.event.username)
        super().fold(batch, rows)


async def test_an_erasure_is_heard_where_the_stream_is_held(journal: Journal) -> None:
    await journal.tell(
        OWNER, UserRegistered(username="eve", active=True, superuser=False)
    )
    await journal.project(PickyUsers(), ApiKeysProjector())
    await journal.tell(
        OWNER, UserRegistered(username="a canary", active=True, superuser=False)
    )
    await journal.tell(OWNER, ApiKeyIssued(key=uuid4(), name="k", hint="sk"))
    await journal.project(PickyUsers(), ApiKeysProjector())
    assert len((await journal.rows(PickyUsers()))["users"]) == 1

    await journal.tell(OWNER, UserErased())
    await journal.project(PickyUsers(), ApiKeysProjector())

    assert (await journal.rows(PickyUsers()))["users"] == []
    assert (await journal.rows(ApiKeysProjector()))["api_keys"] == []
