"""The run aggregate: one execution of a flow, which ends exactly once."""

from typing import ClassVar, Literal, Self, assert_never, override
from uuid import UUID

from domain.kernel import Aggregate, ContentRef, DomainError, Log
from domain.run.events import (
    BranchInactivated,
    MessageEmitted,
    ModelCalled,
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunEvent,
    RunFailed,
    RunForgotten,
    RunRequested,
    RunSucceeded,
    Trigger,
    VertexBuilt,
    VertexFailed,
    VertexStarted,
)
from domain.run.schedule import Plan

type Status = Literal["requested", "claimed", "succeeded", "failed", "cancelled"]


class RunEndedError(DomainError):
    """This run has ended."""


class RunGoesOnError(DomainError):
    """This run still goes on: wait until it has ended."""


class Run(Aggregate[RunEvent]):
    """
    One execution of one exact flow.

    ``attempt`` counts the workers that took it, ``first_failed`` is the vertex
    that failed before any other, ``end`` the version of its one end.
    """

    log: ClassVar[Log] = "runs"

    flow: UUID
    flow_name: str
    owner: UUID
    session: str
    trigger: Trigger
    asked: ContentRef

    def __init__(self, aggregate_id: UUID) -> None:
        super().__init__(aggregate_id)
        self.flow_version: int | None = None
        self.source: UUID | None = None
        self.document: ContentRef | None = None
        self.plan = Plan((), ())
        self.status: Status = "requested"
        self.worker: str | None = None
        self.attempt = 0
        self.started: dict[str, int] = {}
        self.built: dict[str, int] = {}
        self.first_failed: str | None = None
        self.reason: str | None = None
        self.outputs: ContentRef | None = None
        self.cancel_requested = False
        self.forgotten = False
        self.end: int | None = None

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end."""
        return self.status not in ("requested", "claimed")

    @property
    @override
    def subject(self) -> UUID:
        return self.owner

    @classmethod
    def request(
        cls,
        run_id: UUID,
        *,
        flow: UUID,
        flow_name: str,
        owner: UUID,
        session: str,
        trigger: Trigger,
        request: ContentRef,
        flow_version: int | None = None,
        document: ContentRef | None = None,
        first: tuple[str, ...] = (),
        to_run: tuple[str, ...] = (),
        source: UUID | None = None,
    ) -> Self:
        """Ask for a flow to be executed."""
        run = cls(run_id)
        run._record(
            RunRequested(
                flow=flow,
                flow_name=flow_name,
                owner=owner,
                session=session,
                trigger=trigger,
                request=request,
                flow_version=flow_version,
                document=document,
                first=first,
                to_run=to_run,
                source=source,
            )
        )
        return run

    def claim(self, worker: str) -> None:
        """Let *worker* carry it out, whoever did so before."""
        self._require_open()
        self._record(RunClaimed(worker=worker, attempt=self.attempt + 1))

    def start_vertex(self, vertex: str) -> None:
        """Begin a vertex, again if it was begun and never finished."""
        self._require_open()
        attempt = self.started.get(vertex, 0) + 1
        self._record(VertexStarted(vertex=vertex, attempt=attempt))

    def model_called(
        self,
        vertex: str,
        *,
        provider: str,
        model: str,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        duration_ms: int = 0,
    ) -> None:
        """Note that a language model answered."""
        self._require_open()
        self._record(
            ModelCalled(
                vertex=vertex,
                provider=provider,
                model=model,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                duration_ms=duration_ms,
            )
        )

    def emit(
        self,
        message: UUID,
        *,
        thread: UUID,
        vertex: str,
        content: ContentRef,
        category: str = "message",
        streamed: bool = False,
    ) -> None:
        """Say something in the chat."""
        self._require_open()
        self._record(
            MessageEmitted(
                message=message,
                thread=thread,
                vertex=vertex,
                content=content,
                category=category,
                streamed=streamed,
            )
        )

    def vertex_built(
        self,
        vertex: str,
        *,
        content: ContentRef,
        flow: UUID | None = None,
        reads: tuple[str, ...] = (),
        next: tuple[str, ...] = (),  # noqa: A002 - the event's word and the wire's
        top_level: tuple[str, ...] = (),
        inactivated: tuple[str, ...] = (),
        stopped: tuple[str, ...] = (),
        duration_ms: int = 0,
        frozen: bool = False,
    ) -> None:
        """Note that a vertex was carried out, and what follows from it."""
        self._require_open()
        self._record(
            VertexBuilt(
                flow=flow or self.flow,
                vertex=vertex,
                content=content,
                attempt=self.started.get(vertex, 1),
                reads=reads,
                next=next,
                top_level=top_level,
                inactivated=inactivated,
                stopped=stopped,
                duration_ms=duration_ms,
                frozen=frozen,
            )
        )

    def vertex_failed(
        self,
        vertex: str,
        *,
        reason: str,
        content: ContentRef,
        flow: UUID | None = None,
        reads: tuple[str, ...] = (),
        inactivated: tuple[str, ...] = (),
        duration_ms: int = 0,
    ) -> None:
        """Note that a vertex could not be carried out; the rest may go on."""
        self._require_open()
        self._record(
            VertexFailed(
                flow=flow or self.flow,
                vertex=vertex,
                reason=reason,
                content=content,
                attempt=self.started.get(vertex, 1),
                reads=reads,
                inactivated=inactivated,
                duration_ms=duration_ms,
            )
        )

    def request_cancel(self) -> None:
        """Ask for the run to stop; asking again changes nothing."""
        self._require_open()
        if not self.cancel_requested:
            self._record(RunCancelRequested())

    def succeed(self, *, outputs: ContentRef | None = None) -> None:
        """End well."""
        self._require_open()
        self._record(RunSucceeded(outputs=outputs))

    def fail(
        self,
        reason: str,
        *,
        vertex: str | None = None,
        content: ContentRef | None = None,
    ) -> None:
        """End without success."""
        self._require_open()
        self._record(RunFailed(reason=reason, vertex=vertex, content=content))

    def cancel(self) -> None:
        """End because somebody asked for it."""
        self._require_open()
        self._record(RunCancelled())

    def forget(self) -> None:
        """Have what it was asked, came to and said deleted; the caller does that."""
        if not self.ended:
            raise RunGoesOnError(self.id)
        if not self.forgotten:
            self._record(RunForgotten())

    def _require_open(self) -> None:
        if self.ended:
            raise RunEndedError(f"{self.id} {self.status}")

    @override
    def _apply(self, event: RunEvent) -> None:
        match event:
            case RunRequested():
                self._apply_requested(event)
            case RunClaimed(worker=worker, attempt=attempt):
                self.status, self.worker, self.attempt = "claimed", worker, attempt
            case VertexStarted(vertex=vertex, attempt=attempt):
                self.started[vertex] = attempt
            case VertexBuilt(vertex=vertex):
                self.started.pop(vertex, None)
                self.built[vertex] = self.built.get(vertex, 0) + 1
            case VertexFailed(vertex=vertex):
                self.started.pop(vertex, None)
                self.first_failed = self.first_failed or vertex
            case ModelCalled() | MessageEmitted() | BranchInactivated():
                pass
            case RunCancelRequested():
                self.cancel_requested = True
            case RunSucceeded() | RunFailed() | RunCancelled():
                self._apply_end(event)
            case RunForgotten():
                self.forgotten = True
            case _:
                assert_never(event)

    def _apply_requested(self, event: RunRequested) -> None:
        self.flow, self.flow_name = event.flow, event.flow_name
        self.owner, self.session = event.owner, event.session
        self.trigger, self.asked = event.trigger, event.request
        self.source = event.source
        self.flow_version, self.document = event.flow_version, event.document
        self.plan = Plan(event.first, event.to_run)

    def _apply_end(self, event: RunSucceeded | RunFailed | RunCancelled) -> None:
        self.end = self.version + 1
        match event:
            case RunSucceeded(outputs=outputs):
                self.status, self.outputs = "succeeded", outputs
            case RunFailed(reason=reason):
                self.status, self.reason = "failed", reason
            case RunCancelled():
                self.status = "cancelled"
