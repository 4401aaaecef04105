"""Runs by API: give a flow its input, and get its outputs back."""

import json
from typing import Any, Literal

import msgspec
from litestar import Controller, Response, post
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream

from api.chat_events import failing
from api.given import Given
from api.problems import Refusal, problem
from api.requests import Answers
from api.security import RUN
from api.streams import RunStreams
from api.v1.build import UNBUFFERED
from application.execution.flows import FlowsToRun
from application.names import Name
from application.permissions import NotFoundError
from application.ports import Actor, Cause, Contents
from application.runs import Ended, Runs
from domain.run.asked import Asked
from domain.run.tweaks import ConflictingTweakError

EVENT_STREAM = "text/event-stream"


class RunRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a flow is run with; everything may be left out."""

    input_value: str | None = None
    input_type: Literal["chat", "text", "any"] | None = "chat"
    output_type: Literal["chat", "text", "any", "debug"] | None = "chat"
    output_component: str | None = ""
    tweaks: dict[str, Any] | None = None
    session_id: Name | None = None

    def asked(self, *, stream: bool) -> Asked:
        """Return what this asks of a run."""
        return Asked(
            input_value=self.input_value,
            input_type=self.input_type or "chat",
            output_type=self.output_type or "chat",
            output_component=self.output_component or "",
            tweaks=self.tweaks or {},
            session=self.session_id,
            stream=stream,
            whole_run=True,
        )


class RunController(Controller):
    """One call, one run, one answer."""

    path = "/run"
    tags = ("Runs",)

    @post("/{flow_id_or_name:str}", status_code=200, opt=RUN)
    async def run(
        self,
        *,
        flow_id_or_name: FromPath[str],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        runs: Given[Runs],
        streams: Given[RunStreams],
        contents: Given[Contents],
        answers: Given[Answers],
        data: RequestBody[RunRequest | None] = None,
        stream: FromQuery[bool] = False,
    ) -> Response[Any]:
        """Run a flow of one's own, by id or endpoint name."""
        try:
            flow = await flows_to_run.named(actor, flow_id_or_name)
        except NotFoundError:
            said = f"Flow identifier {flow_id_or_name} not found"
            raise Refusal(404, said) from None
        try:
            requested = await runs.request(
                flow,
                (data or RunRequest()).asked(stream=stream),
                trigger="run_stream" if stream else "run",
                cause=cause,
            )
        except ConflictingTweakError as error:
            raise Refusal(400, error.sentence) from None
        if stream:
            lines = streams.run_stream(requested.run)
            return Stream(lines, media_type=EVENT_STREAM, headers=UNBUFFERED)
        ended = await runs.wait(requested.run)
        await answers.settle(ended.position)
        headers = {"X-Run-Id": str(requested.run)}
        return await _answer(ended, contents, headers)


async def _answer(
    ended: Ended, contents: Contents, headers: dict[str, str]
) -> Response[Any]:
    ref = ended.outputs or ended.failure
    opened = None if ref is None else (await contents.open([ref.id])).get(ref.id)
    if ended.status == "succeeded":
        if opened is None:
            raise Refusal(410, "The outputs of this run have been deleted")
        return Response(opened, media_type="application/json", headers=headers)
    cancelled = ended.status == "cancelled"
    said = "The run was cancelled." if cancelled else failing(opened).message
    return problem(500, _error_text(said), headers)


def _error_text(message: str) -> str:
    """Return an error as clients of this route know it: JSON inside a text."""
    return json.dumps(
        {
            "message": message,
            "traceback": None,
            "description": None,
            "code": None,
            "suggestion": None,
        }
    )
