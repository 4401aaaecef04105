"""What can have happened to a project."""

from uuid import UUID

from domain.kernel import Event


class ProjectOpened(Event, frozen=True, kw_only=True, tag="project.opened"):
    owner: UUID
    name: str
    description: str | None = None
    parent: UUID | None = None


class ProjectRenamed(Event, frozen=True, kw_only=True, tag="project.renamed"):
    name: str


class ProjectDescribed(Event, frozen=True, kw_only=True, tag="project.described"):
    description: str | None


class ProjectMoved(Event, frozen=True, kw_only=True, tag="project.moved"):
    parent: UUID | None


class ProjectDeleted(Event, frozen=True, kw_only=True, tag="project.deleted"):
    pass


type ProjectEvent = (
    ProjectOpened | ProjectRenamed | ProjectDescribed | ProjectMoved | ProjectDeleted
)
