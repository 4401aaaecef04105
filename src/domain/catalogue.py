"""Every event type, gathered: what the mapper, the docs and the golden tests read."""

from typing import get_args

from domain.file.events import FileEvent
from domain.flow.events import FlowEvent
from domain.kernel import Event
from domain.mcp_server.events import McpServerEvent
from domain.operation.events import OperationEvent
from domain.project.events import ProjectEvent
from domain.run.events import RunEvent
from domain.thread.events import ThreadEvent
from domain.user.events import UserEvent

UNIONS = (
    UserEvent,
    ProjectEvent,
    FlowEvent,
    FileEvent,
    McpServerEvent,
    RunEvent,
    ThreadEvent,
    OperationEvent,
)

EVENT_TYPES: tuple[type[Event], ...] = tuple(
    event for union in UNIONS for event in get_args(union.__value__)
)


def tag_of(event: type[Event]) -> str:
    """Return the permanent name that *event* is stored under."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str), f"{event.__name__} has no tag"  # noqa: S101
    return tag
