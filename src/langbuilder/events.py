"""What happens in a run, as its stream tells it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from langbuilder.models import Message, Model
from langbuilder.results import Result


class RunEvent(Model, frozen=True, kw_only=True):
    """
    Something that has happened in a run.

    ``version`` is its place in the run's stream, from 1; ``type`` the permanent name
    of what happened. Every run ends with exactly one of `RunSucceeded`,
    `RunFailed` and `RunCancelled`.
    """

    version: int
    at: datetime
    type: str


class TextDelta(Model, frozen=True, kw_only=True):
    """
    A piece of a message that a machine says.

    The pieces of a message in order are its whole text, each character once, whether
    they came as tokens or at the end. ``message_id`` names the message.
    """

    message_id: UUID
    text: str


class MessageWithdrawn(Model, frozen=True, kw_only=True):
    """A message that was begun will not be finished; forget its pieces."""

    message_id: UUID


class RunRequested(RunEvent, frozen=True, kw_only=True):
    """The run was asked for; ``to_run`` are the vertices that it will consider."""

    flow: UUID
    flow_name: str = ""
    session: str = ""
    trigger: str = ""
    flow_version: int | None = None
    first: tuple[str, ...] = ()
    to_run: tuple[str, ...] = ()


class RunClaimed(RunEvent, frozen=True, kw_only=True):
    """A server took the run on."""

    attempt: int = 1


class VertexStarted(RunEvent, frozen=True, kw_only=True):
    """A vertex is being carried out."""

    vertex: str
    attempt: int = 1


class VertexBuilt(RunEvent, frozen=True, kw_only=True):
    """A vertex was carried out; ``build`` is what it came to, if still kept."""

    vertex: str
    next: tuple[str, ...] = ()
    inactivated: tuple[str, ...] = ()
    duration_ms: int = 0
    frozen: bool = False
    build: Mapping[str, Any] | None = None


class VertexFailed(RunEvent, frozen=True, kw_only=True):
    """A vertex could not be carried out; ``reason`` is a stable slug."""

    vertex: str
    reason: str = ""
    inactivated: tuple[str, ...] = ()
    duration_ms: int = 0
    build: Mapping[str, Any] | None = None


class ModelCalled(RunEvent, frozen=True, kw_only=True):
    """A language model answered; it may not have counted the tokens."""

    vertex: str
    provider: str = ""
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    duration_ms: int = 0


class MessageEmitted(RunEvent, frozen=True, kw_only=True):
    """Something was said in the chat; ``message`` is whole, if it is still kept."""

    message_id: UUID
    vertex: str = ""
    category: str = "message"
    streamed: bool = False
    message: Message | None = None


class BranchInactivated(RunEvent, frozen=True, kw_only=True):
    """A vertex decided that others are not carried out."""

    vertex: str
    inactivated: tuple[str, ...] = ()


class RunCancelRequested(RunEvent, frozen=True, kw_only=True):
    """Somebody asked for the run to be cancelled."""


class RunSucceeded(RunEvent, frozen=True, kw_only=True):
    """The run has succeeded, and this is what it came to."""

    result: Result


class RunFailed(RunEvent, frozen=True, kw_only=True):
    """The run has failed; ``reason`` is a stable slug, ``message`` for people."""

    reason: str = ""
    vertex: str | None = None
    message: str = ""


class RunCancelled(RunEvent, frozen=True, kw_only=True):
    """The run was cancelled."""


class OtherEvent(RunEvent, frozen=True, kw_only=True):
    """Something that this client does not know: the server may be newer."""

    data: Mapping[str, Any] = {}
    content: Any = None


type StreamEvent = (
    TextDelta
    | MessageWithdrawn
    | RunRequested
    | RunClaimed
    | VertexStarted
    | VertexBuilt
    | VertexFailed
    | ModelCalled
    | MessageEmitted
    | BranchInactivated
    | RunCancelRequested
    | RunSucceeded
    | RunFailed
    | RunCancelled
    | OtherEvent
)
"""Everything that iterating over a run's stream gives."""

type RunEnd = RunSucceeded | RunFailed | RunCancelled
"""What a run ends with."""
