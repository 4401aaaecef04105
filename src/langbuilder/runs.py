"""Runs: asked for, waited for, watched and cancelled."""

from collections.abc import Mapping
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import msgspec

from langbuilder.errors import RunFailedError, ServerError, TimedOutError
from langbuilder.listing import PAGE, Listing, paged
from langbuilder.models import FlowHeader, Id, Run, id_of
from langbuilder.operations import Resource, operation
from langbuilder.results import Result, result_of
from langbuilder.steps import Steps
from langbuilder.streams import RunStream
from langbuilder.wire import Call, at, command, get

ROUND: Final = 55.0
"""Seconds to wait for a run at a stretch, before asking for the same one again."""

type InputType = Literal["chat", "text", "any"]
type OutputType = Literal["chat", "text", "any", "debug"]
type Tweaks = Mapping[str, Any]


class _Started(msgspec.Struct, frozen=True):
    id: UUID


class _Failure(msgspec.Struct, frozen=True):
    message: str = ""


class Runs[D](Resource[D]):
    """
    Runs of flows.

    A flow is named by its id or its endpoint name. Every start bears an idempotency
    key, *key* or one that is made up: however often it is sent, on however bad a
    line, it starts one run.
    """

    @operation
    def run(
        self,
        flow: FlowHeader | Id,
        text: str | None = None,
        *,
        session: str | None = None,
        tweaks: Tweaks | None = None,
        input_type: InputType = "chat",
        output_type: OutputType = "chat",
        output_component: str = "",
        timeout: float | None = None,
        key: str | None = None,
    ) -> Steps[Result]:
        """
        Run *flow* on *text*, wait for its end, and return what it came to.

        *session* names the conversation, *tweaks* sets fields of vertices for this
        run. *timeout* are the seconds to wait, without it as long as it takes; a run
        that is not waited for goes on. Raise `RunFailedError` if it fails.
        """
        call = command(
            "POST",
            at("/api/v1/run/{}", id_of(flow)),
            _input(
                text,
                session=session,
                tweaks=tweaks,
                input_type=input_type,
                output_type=output_type,
                output_component=output_component,
            ),
            key=key,
        )
        try:
            answer = yield from self._within(call, timeout)
        except ServerError as error:
            raise _failed(error) from None
        run = answer.headers.get("x-run-id")
        return result_of(answer.content, run_id=UUID(run) if run else None)

    @operation
    def start(
        self,
        flow: FlowHeader | Id,
        text: str | None = None,
        *,
        session: str | None = None,
        tweaks: Tweaks | None = None,
        input_type: InputType = "chat",
        output_type: OutputType = "chat",
        output_component: str = "",
        key: str | None = None,
    ) -> Steps[UUID]:
        """Have *flow* run on *text*, and return the run's id at once."""
        asked = _input(
            text,
            session=session,
            tweaks=tweaks,
            input_type=input_type,
            output_type=output_type,
            output_component=output_component,
        )
        return (yield from self._start(flow, asked, key or str(uuid4())))

    def stream(
        self,
        flow: FlowHeader | Id,
        text: str | None = None,
        *,
        session: str | None = None,
        tweaks: Tweaks | None = None,
        input_type: InputType = "chat",
        output_type: OutputType = "chat",
        output_component: str = "",
        key: str | None = None,
    ) -> RunStream[D]:
        """
        Have *flow* run on *text*, and watch it.

        It starts as the ``with`` block begins, or as somebody first reads.
        """
        asked = _input(
            text,
            session=session,
            tweaks=tweaks,
            input_type=input_type,
            output_type=output_type,
            output_component=output_component,
        )
        key = key or str(uuid4())
        return RunStream(
            self._driver, self._sending, lambda: self._start(flow, asked, key)
        )

    def events(self, run: Run | Id, *, after: int = 0) -> RunStream[D]:
        """Watch a run from its beginning, or *after* a version that was seen."""
        return RunStream(self._driver, self._sending, lambda: _known(run), after=after)

    @operation
    def wait(self, run: Run | Id) -> Steps[Result]:
        """
        Wait for the end of a run, and return what it came to.

        Raise `RunFailedError` or `RunCancelledError` if it ends otherwise.
        """
        stream = RunStream(self._driver, self._sending, lambda: _known(run))
        return (yield from RunStream.wait.steps(stream))

    @operation
    def cancel(self, run: Run | Id) -> Steps[None]:
        """Cancel a run; one that has ended stays as it is."""
        yield from self._send(
            command("POST", at("/api/v1/build/{}/cancel", id_of(run)))
        )

    @operation
    def get(self, run: Run | Id) -> Steps[Run]:
        """Tell how a run stands."""
        answer = yield from self._send(get(at("/api/v1/runs/{}", id_of(run))))
        return answer.read(Run)

    def list(
        self, flow: FlowHeader | Id | None = None, *, page_size: int = PAGE
    ) -> Listing[D, Run]:
        """List runs, newest first: all of yours, or those of a flow."""
        flow_id = None if flow is None else id_of(flow)

        def asking(page: int) -> Call:
            return get("/api/v1/runs", flow_id=flow_id, page=page, size=page_size)

        return Listing(self._driver, lambda: paged(self._send, asking, Run))

    def _start(
        self, flow: FlowHeader | Id, asked: dict[str, Any], key: str
    ) -> Steps[UUID]:
        body = asked | {"flow": str(id_of(flow))}
        call = command("POST", "/api/v1/runs", body, key=key)
        answer = yield from self._send(call)
        return answer.read(_Started).id

    def _within(self, call: Call, timeout: float | None) -> Steps[Any]:
        """Ask for one run in rounds, for its key says that it is the same one."""
        left = timeout
        while True:
            patience = ROUND if left is None else min(ROUND, left)
            asking = msgspec.structs.replace(call, patience=patience, waiting=True)
            try:
                return (yield from self._send(asking))
            except TimedOutError:
                left = None if left is None else left - patience
                if left is not None and left <= 0:
                    raise


def _input(text: str | None, **more: Any) -> dict[str, Any]:
    return {
        "input_value": text,
        "session_id": more.pop("session"),
        **{name: value for name, value in more.items() if value is not None},
    }


def _known(run: Run | Id) -> Steps[UUID]:
    yield from ()
    return UUID(id_of(run))


def _failed(error: ServerError) -> Exception:
    """Return what a failed run's answer tells: JSON within a text."""
    run = error.headers.get("x-run-id")
    if run is None:
        return error
    try:
        said = msgspec.json.decode(str(error.detail), type=_Failure).message
    except msgspec.DecodeError:
        said = str(error.detail)
    return RunFailedError(said, run_id=UUID(run))
