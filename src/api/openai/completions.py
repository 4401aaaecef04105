"""Chat completions: a flow answers the last message of a conversation."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from litestar import Controller, Response, post
from litestar.params import RequestBody

from api.given import Given
from api.openai.answers import COMPLETED
from api.openai.naming import FlowModels, moment_of
from api.openai.problems import HANDLERS_HERE, NOT_AGAIN, Unsupported, error_of, refused
from api.openai.shapes import (
    SESSION,
    CompletionRequest,
    StreamOptions,
    told_in,
)
from api.openai.speaking import spoken, sse, streamed, to_its_only_reader
from api.problems import Refusal
from api.requests import Answers
from api.security import RUN
from api.v1.run_shapes import no_variables_in_headers
from application.ports import Actor, Cause
from application.replies import Replies, Reply, Usage
from application.runs import Runs


class CompletionController(Controller):
    """The conversation is the client's: the flow is told it, and answers."""

    path = "/chat/completions"
    tags = ("OpenAI",)
    opt = RUN
    guards = (no_variables_in_headers,)
    exception_handlers = HANDLERS_HERE

    @post("/", status_code=200, responses=COMPLETED)
    async def complete(
        self,
        *,
        data: RequestBody[CompletionRequest],
        actor: Given[Actor],
        cause: Given[Cause],
        flow_models: Given[FlowModels],
        replies: Given[Replies],
        runs: Given[Runs],
        answers: Given[Answers],
    ) -> Response[Any]:
        """Let a flow answer the last message of the user."""
        _check(data)
        told = told_in(data.messages)
        flow = await flow_models.named(actor, data.model)
        files = await flow_models.pictures(told, flow, cause)
        session = (data.metadata or {}).get(SESSION)
        requested = await replies.ask(
            flow,
            told.text,
            trigger="openai",
            cause=cause,
            session=session,
            told=told.before,
            alone=session is None or bool(told.before),
            files=files,
            stream=bool(data.stream),
        )
        model = data.model or f"lb:{flow.id}"
        if data.stream:
            usage = bool((data.stream_options or StreamOptions()).include_usage)
            chunks = _Chunks(requested.run, model, usage=usage)
            frames = spoken(requested.run, replies, chunks.say, first=[chunks.begin()])
            return streamed(
                to_its_only_reader(frames, requested, runs, cause), requested.run
            )
        reply = await replies.wait(requested.run)
        await answers.settle(reply.position)
        return _answer(reply, model)


def _answer(reply: Reply, model: str) -> Response[Any]:
    headers = {"X-Run-Id": str(reply.run)}
    if reply.error is None:
        return Response(_completion(reply, model), headers=headers)
    return refused(500, reply.error, code=reply.reason, headers=NOT_AGAIN | headers)


def _check(asked: CompletionRequest) -> None:
    """Refuse what would change the answer and that no flow can do."""
    if not asked.messages:
        raise Refusal(400, "messages cannot be empty")
    if asked.tools or asked.functions:
        raise Unsupported(
            "tools", "A flow brings its own tools", code="tools_not_supported"
        )
    if asked.n not in (None, 1):
        raise Unsupported("n", "A flow answers once: leave n away, or send 1")
    if asked.logprobs:
        raise Unsupported("logprobs", "A flow tells no probabilities of its words")
    if asked.modalities and asked.modalities != ["text"]:
        raise Unsupported("modalities", "A flow answers with text alone")
    if (asked.response_format or {}).get("type", "text") != "text":
        raise Unsupported(
            "response_format", "A flow answers as it was drawn to, and not to a schema"
        )


def _completion(reply: Reply, model: str) -> dict[str, Any]:
    return {
        "id": _id(reply.run),
        "object": "chat.completion",
        "created": moment_of(reply.run),
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": reply.text,
                    "refusal": None,
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": _usage(reply.usage),
    }


class _Chunks:
    """The chunks of one completion."""

    def __init__(self, run: UUID, model: str, *, usage: bool) -> None:
        self._run = run
        self._model = model
        self._usage = usage

    def begin(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def say(self, heard: str | Reply) -> Iterable[bytes]:
        if isinstance(heard, str):
            yield self._chunk({"content": heard})
        elif heard.error is not None:
            yield sse({"error": error_of(500, heard.error, code=heard.reason)})
        else:
            yield self._chunk({}, finish="stop")
            if self._usage:
                yield sse(self._frame([], _usage(heard.usage)))

    def _chunk(self, delta: dict[str, Any], *, finish: str | None = None) -> bytes:
        choice = {
            "index": 0,
            "delta": delta,
            "logprobs": None,
            "finish_reason": finish,
        }
        return sse(self._frame([choice], None))

    def _frame(
        self, choices: list[dict[str, Any]], usage: dict[str, int] | None
    ) -> dict[str, Any]:
        frame = {
            "id": _id(self._run),
            "object": "chat.completion.chunk",
            "created": moment_of(self._run),
            "model": self._model,
            "choices": choices,
        }
        return frame | {"usage": usage} if self._usage else frame


def _id(run: UUID) -> str:
    return f"chatcmpl-{run.hex}"


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
