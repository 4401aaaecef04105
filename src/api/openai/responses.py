"""Responses: a flow answers, and the next answer may go on from there."""

from collections.abc import AsyncGenerator
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
from litestar import Controller, Response, post
from litestar.params import RequestBody

from api.given import Given
from api.openai.answers import RESPONDED
from api.openai.kept_responses import kept_run
from api.openai.naming import FlowModels
from api.openai.problems import HANDLERS_HERE, NOT_AGAIN, Unsupported, refused
from api.openai.response_shapes import (
    Echo,
    ResponseEvents,
    ended,
    failed,
    response_of,
)
from api.openai.shapes import SESSION, ResponseRequest, Told, told_by, turn_of
from api.openai.speaking import spoken, streamed, to_its_only_reader
from api.problems import Refusal
from api.requests import Answers
from api.security import RUN
from api.v1.run_shapes import no_variables_in_headers
from application.execution.flows import FlowToRun
from application.ports import Actor, Cause
from application.replies import Replies, Reply
from application.runs import Requested, Runs


class ResponseController(Controller):
    """
    A response is a run: its id is the run's, its conversation the run's session.

    Refusals have OpenAI's statuses here.
    """

    path = "/responses"
    tags = ("OpenAI",)
    opt = RUN
    guards = (no_variables_in_headers,)
    exception_handlers = HANDLERS_HERE
    like_langbuilder: ClassVar[bool] = False
    """Whether a refusal is an ``error`` object with 200, and events have no names."""

    @post("/", status_code=200, responses=RESPONDED)
    async def create(
        self,
        *,
        data: RequestBody[ResponseRequest],
        cause: Given[Cause],
        flow_models: Given[FlowModels],
        replies: Given[Replies],
        runs: Given[Runs],
        answers: Given[Answers],
    ) -> Response[Any]:
        """Let a flow answer; go on from an earlier response where one is named."""
        try:
            told = _told(data)
            flow = await flow_models.named(cause.actor, data.model)
            session = await _session(data, cause.actor, flow, runs)
            files = await flow_models.pictures(told, flow, cause)
        except Refusal as refusal:
            return self._refused(refusal)
        echo = _echo(data, told)
        requested = await replies.ask(
            flow,
            told.text,
            trigger="responses",
            cause=cause,
            session=session,
            told=told.before,
            alone=_begins(data),
            files=files,
            stream=bool(data.stream),
            echo=echo,
        )
        if data.stream:
            frames = self._frames(requested, echo, replies)
            lone = to_its_only_reader(frames, requested, runs, cause)
            return streamed(frames if data.background else lone, requested.run)
        if data.background:
            return Response(response_of(requested.run, echo, status="queued"))
        reply = await replies.wait(requested.run)
        await answers.settle(reply.position)
        return self._answer(reply, echo)

    def _refused(self, refusal: Refusal) -> Response[Any]:
        if not self.like_langbuilder:
            raise refusal
        code = refusal.code if isinstance(refusal, Unsupported) else "not_found"
        return Response(failed(str(refusal.said), code=code))

    def _answer(self, reply: Reply, echo: Echo) -> Response[Any]:
        headers = {"X-Run-Id": str(reply.run)}
        if reply.error is None:
            return Response(ended(reply.run, echo, reply), headers=headers)
        if self.like_langbuilder:
            said = failed(reply.error, code=reply.reason or "run_cancelled")
            return Response(said, headers=headers)
        return refused(500, reply.error, code=reply.reason, headers=NOT_AGAIN | headers)

    def _frames(
        self, requested: Requested, echo: Echo, replies: Replies
    ) -> AsyncGenerator[bytes]:
        named = not self.like_langbuilder
        events = ResponseEvents(requested.run, echo, named=named)
        return spoken(requested.run, replies, events.say, first=events.begin())


class LangBuilderResponseController(ResponseController):
    """Responses where LangBuilder's own clients look for them, refused their way."""

    tags = ("OpenAI",)
    like_langbuilder = True


def _told(asked: ResponseRequest) -> Told:
    if asked.tools:
        raise Unsupported(
            "tools",
            "tools are not supported: a flow brings its own",
            code="tools_not_supported",
        )
    for param in ("conversation", "prompt"):
        if getattr(asked, param) is not None:
            raise Unsupported(param, f"{param} means nothing to a flow: leave it away")
    kind = ((asked.text or {}).get("format") or {}).get("type", "text")
    if kind != "text":
        raise Unsupported("text", "A flow answers as it was drawn to, not to a schema")
    if isinstance(asked.input, str):
        told = Told(asked.input, ())
    else:
        told = told_by(asked.input)
    if not (told.text.strip() or told.pictures):
        raise Unsupported("input", "input cannot be empty", code="empty_input")
    if asked.instructions:
        system = turn_of("system", None, asked.instructions)
        told = msgspec.structs.replace(told, before=(system, *told.before))
    return told


def _begins(asked: ResponseRequest) -> bool:
    """Tell whether nothing was said before but what the request tells."""
    return asked.previous_response_id is None and SESSION not in (asked.metadata or {})


async def _session(
    asked: ResponseRequest, actor: Actor, flow: FlowToRun, runs: Runs
) -> str:
    """Return the session to answer in: an earlier one's, a named one, or a new one."""
    if asked.previous_response_id is None:
        return (asked.metadata or {}).get(SESSION) or f"response-{uuid4()}"
    earlier = await kept_run(asked.previous_response_id, actor, runs)
    if earlier.flow != flow.id:
        raise Unsupported(
            "previous_response_id", "The previous response is another flow's"
        )
    return earlier.session


def _echo(asked: ResponseRequest, told: Told) -> Echo:
    return {
        "model": asked.model,
        "metadata": asked.metadata or {},
        "instructions": asked.instructions,
        "previous_response_id": asked.previous_response_id,
        "background": bool(asked.background),
        "place": told.place,
    }
