"""Projections and the events of people who were erased."""

from uuid import uuid4

from application.ports import SYSTEM, Cause
from domain.project.project import Project
from infrastructure.event_store.memory import MemoryEventStore
from projections.projects.projector import ProjectsProjector
from tests.projections.journal import OTHER, OWNER, Journal


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
