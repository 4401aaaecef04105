"""What can have happened to a project."""

from uuid import UUID

import msgspec

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


class McpAccess(msgspec.Struct, frozen=True, kw_only=True):
    """
    How callers of a project's tools prove who they are.

    ``plain`` are the settings that anybody may read; ``secrets`` names the others,
    by their keys, in the vault.
    """

    auth_type: str
    plain: dict[str, str]
    secrets: dict[str, UUID]


class McpAccessConfigured(
    Event, frozen=True, kw_only=True, tag="project.mcp_access_configured"
):
    """Callers prove who they are in another way; without ``access`` as everywhere."""

    access: McpAccess | None


class ProjectDeleted(Event, frozen=True, kw_only=True, tag="project.deleted"):
    pass


type ProjectEvent = (
    ProjectOpened
    | ProjectRenamed
    | ProjectDescribed
    | ProjectMoved
    | McpAccessConfigured
    | ProjectDeleted
)
