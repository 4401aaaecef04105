"""The project aggregate: a place with a name, where flows live."""

from typing import Self, assert_never, override
from uuid import UUID

from domain.kernel import Aggregate, DomainError
from domain.project.events import (
    McpAccess,
    McpAccessConfigured,
    ProjectDeleted,
    ProjectDescribed,
    ProjectEvent,
    ProjectMoved,
    ProjectOpened,
    ProjectRenamed,
)


class ProjectDeletedError(DomainError):
    """This project has been deleted."""


class NamelessProjectError(DomainError):
    """A project has a name."""


class ProjectInItselfError(DomainError):
    """A project cannot lie in itself."""


class Project(Aggregate[ProjectEvent]):
    """A place where flows live."""

    owner: UUID

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.name = ""
        self.description: str | None = None
        self.parent: UUID | None = None
        self.mcp_access: McpAccess | None = None
        self.deleted = False

    @property
    @override
    def subject(self) -> UUID:
        return self.owner

    @property
    def secrets(self) -> tuple[UUID, ...]:
        """What it has in the vault."""
        return tuple(self.mcp_access.secrets.values()) if self.mcp_access else ()

    @classmethod
    def open(
        cls,
        project_id: UUID,
        *,
        owner: UUID,
        name: str,
        description: str | None = None,
        parent: UUID | None = None,
    ) -> Self:
        """Begin an empty project, under a name that the caller has claimed."""
        project = cls(project_id)
        project._check(name, parent)
        project._record(
            ProjectOpened(
                owner=owner, name=name, description=description, parent=parent
            )
        )
        return project

    def rename(self, name: str) -> None:
        """Give it another name; the same one changes nothing."""
        self._require_present()
        self._check(name, None)
        if name != self.name:
            self._record(ProjectRenamed(name=name))

    def describe(self, description: str | None) -> None:
        """Say what it is for; the same words change nothing."""
        self._require_present()
        if description != self.description:
            self._record(ProjectDescribed(description=description))

    def move(self, parent: UUID | None) -> None:
        """Put it into another project; the same one changes nothing."""
        self._require_present()
        self._check(self.name, parent)
        if parent != self.parent:
            self._record(ProjectMoved(parent=parent))

    def configure_mcp_access(self, access: McpAccess | None) -> None:
        """Say how callers of its tools prove who they are; the same changes nothing."""
        self._require_present()
        if access != self.mcp_access:
            self._record(McpAccessConfigured(access=access))

    def delete(self) -> None:
        """Take it away; the caller has dealt with the flows in it."""
        self._require_present()
        self._record(ProjectDeleted())

    def _check(self, name: str, parent: UUID | None) -> None:
        if not name:
            raise NamelessProjectError
        if parent == self.id:
            raise ProjectInItselfError(name)

    def _require_present(self) -> None:
        if self.deleted:
            raise ProjectDeletedError(self.id)

    @override
    def _apply(self, event: ProjectEvent) -> None:
        match event:
            case ProjectOpened():
                self.owner, self.name = event.owner, event.name
                self.description, self.parent = event.description, event.parent
            case ProjectRenamed(name=name):
                self.name = name
            case ProjectDescribed(description=description):
                self.description = description
            case ProjectMoved(parent=parent):
                self.parent = parent
            case McpAccessConfigured(access=access):
                self.mcp_access = access
            case ProjectDeleted():
                self.deleted = True
            case _:
                assert_never(event)
