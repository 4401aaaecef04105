"""What can have happened in a run: every step from the request to its one end."""

from typing import Literal
from uuid import UUID

from domain.kernel import ContentRef, Event

type Trigger = Literal[
    "build",
    "run",
    "run_stream",
    "run_advanced",
    "webhook",
    "public",
    "openai",
    "responses",
    "mcp",
    "chat",
    "voice",
]
"""The door through which somebody asked for a run."""


class RunRequested(Event, frozen=True, kw_only=True, tag="run.requested"):
    """
    Somebody asked for a flow to be executed.

    ``flow_version`` is the version run as it stands in the log; ``document`` is
    there instead when the request carried an unsaved one. ``request`` holds the
    inputs and tweaks (secrets by reference). ``first`` and ``to_run`` are the
    plan: the first layer, and every vertex that will be considered. ``source`` is
    the flow that the version is of, where *flow* is what a visitor has of it.
    """

    flow: UUID
    flow_name: str
    owner: UUID
    session: str
    trigger: Trigger
    request: ContentRef
    flow_version: int | None = None
    document: ContentRef | None = None
    first: tuple[str, ...] = ()
    to_run: tuple[str, ...] = ()
    source: UUID | None = None


class RunClaimed(Event, frozen=True, kw_only=True, tag="run.claimed"):
    worker: str
    attempt: int


class VertexStarted(Event, frozen=True, kw_only=True, tag="run.vertex_started"):
    vertex: str
    attempt: int = 1


class ModelCalled(Event, frozen=True, kw_only=True, tag="run.model_called"):
    """A language model answered; tokens are ``None`` where it did not count them."""

    vertex: str
    provider: str
    model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    duration_ms: int = 0


class MessageEmitted(Event, frozen=True, kw_only=True, tag="run.message_emitted"):
    """
    A vertex said something in the chat.

    ``content`` is the message as JSON, in the shape of LangBuilder's
    ``add_message`` data. ``streamed`` tells that its tokens went out as signals.
    """

    message: UUID
    thread: UUID
    vertex: str
    content: ContentRef
    category: str = "message"
    streamed: bool = False


class VertexBuilt(Event, frozen=True, kw_only=True, tag="run.vertex_built"):
    """
    A vertex was carried out.

    ``content`` is JSON ``{"params", "data", "inputs"}``, the first two as in
    LangBuilder's ``build_data``, the last what it was given without secrets;
    ``reads`` are the vertices whose results it took, one an edge. ``stopped`` are
    the outputs whose branches it put out: all of those, not only the vertices in
    ``inactivated`` that clients are told of.
    """

    flow: UUID
    vertex: str
    content: ContentRef
    attempt: int = 1
    reads: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    top_level: tuple[str, ...] = ()
    inactivated: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    duration_ms: int = 0
    frozen: bool = False


class VertexFailed(Event, frozen=True, kw_only=True, tag="run.vertex_failed"):
    """
    A vertex could not be carried out.

    ``reason`` is a stable slug; ``content`` is JSON ``{"params", "data"}`` like a
    built one's, whose outputs carry the error text.
    """

    flow: UUID
    vertex: str
    reason: str
    content: ContentRef
    attempt: int = 1
    reads: tuple[str, ...] = ()
    inactivated: tuple[str, ...] = ()
    duration_ms: int = 0


class BranchInactivated(Event, frozen=True, kw_only=True, tag="run.branch_inactivated"):
    vertex: str
    inactivated: tuple[str, ...]


class RunCancelRequested(Event, frozen=True, kw_only=True, tag="run.cancel_requested"):
    pass


class RunSucceeded(Event, frozen=True, kw_only=True, tag="run.succeeded"):
    """``outputs`` is the answer of ``POST /run`` as JSON, where one was asked for."""

    outputs: ContentRef | None = None


class RunFailed(Event, frozen=True, kw_only=True, tag="run.failed"):
    """
    The run ended without success.

    ``reason`` is a stable slug, ``vertex`` the first that failed (if one did) and
    ``content`` the error text as JSON ``{"message", ...}``.
    """

    reason: str
    vertex: str | None = None
    content: ContentRef | None = None


class RunCancelled(Event, frozen=True, kw_only=True, tag="run.cancelled"):
    pass


class RunForgotten(Event, frozen=True, kw_only=True, tag="run.forgotten"):
    """What an ended run was asked, came to and said was deleted; its steps stay."""


type RunEvent = (
    RunRequested
    | RunClaimed
    | VertexStarted
    | ModelCalled
    | MessageEmitted
    | VertexBuilt
    | VertexFailed
    | BranchInactivated
    | RunCancelRequested
    | RunSucceeded
    | RunFailed
    | RunCancelled
    | RunForgotten
)
