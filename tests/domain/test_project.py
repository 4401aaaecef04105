"""What may be decided about a project."""

from typing import Any
from uuid import UUID

import pytest

from domain.project.events import (
    ProjectDeleted,
    ProjectDescribed,
    ProjectMoved,
    ProjectOpened,
    ProjectRenamed,
)
from domain.project.project import (
    NamelessProjectError,
    Project,
    ProjectDeletedError,
    ProjectInItselfError,
)
from tests.specification import SOMETHING, given

OWNER, ELSEWHERE = UUID(int=7), UUID(int=9)
OPENED = ProjectOpened(owner=OWNER, name="Starter Project")


def test_a_project_is_opened() -> None:
    project = Project.open(SOMETHING, owner=OWNER, name="Starter Project")

    assert project.collect() == [OPENED]
    assert (project.owner, project.name) == (OWNER, "Starter Project")


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (lambda p: p.rename("Other"), ProjectRenamed(name="Other")),
        (lambda p: p.describe("For air"), ProjectDescribed(description="For air")),
        (lambda p: p.move(ELSEWHERE), ProjectMoved(parent=ELSEWHERE)),
    ],
)
def test_a_project_changes_once(command: Any, event: Any) -> None:
    given(Project, OPENED).when(command).then(event)
    given(Project, OPENED, event).when(command).then_nothing_happens()


def test_a_project_has_a_name() -> None:
    given(Project, OPENED).when(lambda p: p.rename("")).then_refuses(
        NamelessProjectError
    )
    with pytest.raises(NamelessProjectError):
        Project.open(SOMETHING, owner=OWNER, name="")


def test_a_project_does_not_lie_in_itself() -> None:
    given(Project, OPENED).when(lambda p: p.move(SOMETHING)).then_refuses(
        ProjectInItselfError
    )


@pytest.mark.parametrize(
    "command",
    [
        lambda p: p.rename("x"),
        lambda p: p.describe(None),
        lambda p: p.move(None),
        lambda p: p.delete(),
    ],
)
def test_a_deleted_project_stays_as_it_was(command: Any) -> None:
    given(Project, OPENED, ProjectDeleted()).when(command).then_refuses(
        ProjectDeletedError
    )
