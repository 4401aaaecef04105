"""Projects what has happened to projects onto ``projects``."""

from collections.abc import Sequence
from typing import Any, override

import msgspec

from application.ports import Recorded
from domain.project.events import (
    McpAccessConfigured,
    ProjectDeleted,
    ProjectDescribed,
    ProjectMoved,
    ProjectOpened,
    ProjectRenamed,
)
from domain.user.events import UserErased
from projections.projector import Projector, UnwantedEventError
from projections.projects.tables import METADATA, PROJECTS
from projections.rows import Rows


class ProjectsProjector(Projector):
    """Where people's work lies."""

    name = "projects"
    version = 3
    tables = METADATA
    reads = (
        ProjectOpened,
        ProjectRenamed,
        ProjectDescribed,
        ProjectMoved,
        McpAccessConfigured,
        ProjectDeleted,
        UserErased,
    )

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case ProjectOpened() as event:
                    rows.put(
                        PROJECTS,
                        id=recorded.stream,
                        owner=event.owner,
                        name=event.name,
                        description=event.description,
                        parent=event.parent,
                        created_at=recorded.at,
                        updated_at=recorded.at,
                    )
                case ProjectRenamed(name=name):
                    _change(rows, recorded, name=name)
                case ProjectDescribed(description=description):
                    _change(rows, recorded, description=description)
                case ProjectMoved(parent=parent):
                    _change(rows, recorded, parent=parent)
                case McpAccessConfigured(access=access):
                    known = None if access is None else msgspec.json.encode(access)
                    _change(rows, recorded, mcp_access=known)
                case ProjectDeleted():
                    rows.remove(PROJECTS, recorded.stream)
                case UserErased():
                    rows.remove_where(PROJECTS, owner=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _change(rows: Rows, recorded: Recorded, **values: Any) -> None:
    rows.change(PROJECTS, recorded.stream, updated_at=recorded.at, **values)
