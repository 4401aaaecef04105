"""Runs by API: give a flow its input, and get its outputs back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Response, post
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream

from api.given import Given
from api.problems import Refusal
from api.requests import Answers
from api.security import RUN
from api.streams import RunStreams
from api.v1.build import UNBUFFERED
from api.v1.run_shapes import (
    ANSWERED,
    AdvancedRunRequest,
    RunRequest,
    no_variables_in_headers,
    outputs_of,
)
from application.commands import part_of
from application.execution.flows import FlowsToRun, FlowToRun
from application.execution.threads import KIND, claim_key
from application.permissions import NotFoundError
from application.ports import Actor, Cause, Claims, Contents
from application.runs import Runs
from domain.run.asked import Asked
from domain.run.tweaks import ConflictingTweakError

EVENT_STREAM = "text/event-stream"


class RunController(Controller):
    """One call, one run for each input, one answer."""

    path = "/run"
    tags = ("Runs",)
    opt = RUN
    guards = (no_variables_in_headers,)

    @post("/{flow_id_or_name:str}", status_code=200, responses=ANSWERED)
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
        user_id: FromQuery[UUID | None] = None,
    ) -> Response[Any]:
        """Run a flow of one's own, by id or endpoint name."""
        try:
            _only_own(actor, user_id)
            flow = await flows_to_run.named(actor, flow_id_or_name)
        except NotFoundError:
            said = f"Flow identifier {flow_id_or_name} not found"
            raise Refusal(404, said) from None
        asked = (data or RunRequest()).asked(stream=stream)
        run = await _request(
            runs, flow, asked, cause=cause, trigger="run_stream" if stream else "run"
        )
        headers = {"X-Run-Id": str(run)}
        if stream:
            return Stream(
                streams.run_stream(run),
                media_type=EVENT_STREAM,
                headers=UNBUFFERED | headers,
            )
        ended = await runs.wait(run)
        await answers.settle(ended.position)
        answer = await outputs_of(ended, contents, flow.document, headers)
        if isinstance(answer, Response):
            return answer
        return Response(answer, media_type="application/json", headers=headers)

    @post("/advanced/{flow_id:str}", status_code=200, responses=ANSWERED)
    async def advanced(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        cause: Given[Cause],
        flows_to_run: Given[FlowsToRun],
        runs: Given[Runs],
        claims: Given[Claims],
        contents: Given[Contents],
        answers: Given[Answers],
        data: RequestBody[AdvancedRunRequest | None] = None,
    ) -> Response[Any]:
        """Run a flow of one's own once for each input, one after the other."""
        request = data or AdvancedRunRequest()
        try:
            flow = await flows_to_run.head(actor, flow_id)
        except NotFoundError:
            raise Refusal(404, f"Flow {flow_id} not found") from None
        await _known_session(claims, flow, request.session_id)
        told: list[msgspec.Raw] = []
        headers: dict[str, str] = {}
        for place, asked in enumerate(request.each()):
            step = part_of(cause, f"input-{place}") if place else cause
            run = await _request(runs, flow, asked, cause=step, trigger="run_advanced")
            headers["X-Run-Id"] = ",".join([*headers.values(), str(run)])
            ended = await runs.wait(run)
            await answers.settle(ended.position)
            answer = await outputs_of(ended, contents, flow.document, headers)
            if isinstance(answer, Response):
                return answer
            told.append(msgspec.Raw(answer))
        joined = msgspec.json.encode(_joined(told))
        return Response(joined, media_type="application/json", headers=headers)


class _Outputs(msgspec.Struct):
    session_id: str = ""
    outputs: list[msgspec.Raw] = []


def _joined(answers: Sequence[msgspec.Raw]) -> _Outputs:
    """Return the outputs of every run, in the order of their inputs."""
    each = [msgspec.json.decode(answer, type=_Outputs) for answer in answers]
    return _Outputs(each[0].session_id, [raw for one in each for raw in one.outputs])


async def _request(
    runs: Runs, flow: FlowToRun, asked: Asked, *, cause: Cause, trigger: Any
) -> UUID:
    try:
        requested = await runs.request(flow, asked, trigger=trigger, cause=cause)
    except ConflictingTweakError as error:
        raise Refusal(400, error.sentence) from None
    return requested.run


def _only_own(actor: Actor, user_id: UUID | None) -> None:
    """Refuse, as if it were not there, what is to be somebody else's."""
    if user_id is not None and user_id != actor.user:
        raise NotFoundError("flow", user_id)


async def _known_session(claims: Claims, flow: FlowToRun, session: str | None) -> None:
    """Refuse a session that nobody has begun with this flow."""
    if session and await claims.holder(KIND, claim_key(flow.id, session)) is None:
        raise Refusal(404, f"Session {session} not found")
