"""A response of OpenAI's protocol, told from the run that carries it out."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from api.openai.naming import moment_of
from api.openai.problems import error_of
from api.openai.speaking import sse
from application.replies import Reply

PREFIX: Final = "resp_"

type Echo = dict[str, Any]
"""What a response repeats of its request."""


def id_of(run: UUID) -> str:
    """Return the id of the response that *run* carries out."""
    return f"{PREFIX}{run.hex}"


def run_of(response: str) -> UUID | None:
    """Return the run that a response's id names; None if it is no such id."""
    try:
        return UUID(hex=response.removeprefix(PREFIX))
    except ValueError:
        return None


def response_of(
    run: UUID, echo: Echo, *, status: str, reply: Reply | None = None
) -> dict[str, Any]:
    """Return a response with *status*, and what *reply* tells of it."""
    error = None
    if status == "failed" and reply is not None:
        error = {"code": "server_error", "message": reply.error}
    return {
        "id": id_of(run),
        "object": "response",
        "created_at": moment_of(run),
        "status": status,
        "error": error,
        "incomplete_details": None,
        "instructions": echo.get("instructions"),
        "metadata": echo.get("metadata") or {},
        "model": echo.get("model", ""),
        "output": [_item(run, reply.text)] if reply and status == "completed" else [],
        "background": bool(echo.get("background")),
        "parallel_tool_calls": True,
        "previous_response_id": echo.get("previous_response_id"),
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if reply is None else _usage(reply),
    }


def ended(run: UUID, echo: Echo, reply: Reply) -> dict[str, Any]:
    """Return the response that *reply* ends."""
    status = {"succeeded": "completed", "cancelled": "cancelled"}.get(
        reply.status, "failed"
    )
    return response_of(run, echo, status=status, reply=reply)


def _item(run: UUID, text: str, *, status: str = "completed") -> dict[str, Any]:
    return {
        "id": f"msg_{run.hex}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": [] if status == "in_progress" else [_part(text)],
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _usage(reply: Reply) -> dict[str, Any]:
    used = reply.usage
    return {
        "input_tokens": used.input_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": used.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used.input_tokens + used.output_tokens,
    }


class ResponseEvents:
    """
    The typed events of one response, in order.

    With *named* each has its type in an ``event`` line as well, which OpenAI sends
    and LangBuilder's clients do not look for.
    """

    def __init__(self, run: UUID, echo: Echo, *, named: bool) -> None:
        self._run = run
        self._echo = echo
        self._named = named
        self._number = 0
        self._text = ""
        self._place = {
            "item_id": f"msg_{run.hex}",
            "output_index": 0,
            "content_index": 0,
        }

    def begin(self) -> Iterable[bytes]:
        """Yield what comes before the first piece of text."""
        going = response_of(self._run, self._echo, status="in_progress")
        yield self._event("response.created", response=going)
        yield self._event("response.in_progress", response=going)
        item = _item(self._run, "", status="in_progress")
        yield self._event("response.output_item.added", output_index=0, item=item)
        yield self._event("response.content_part.added", part=_part(""), **self._place)

    def say(self, heard: str | Reply) -> Iterable[bytes]:
        """Yield what a piece of text, or the end, comes to."""
        if isinstance(heard, str):
            self._text += heard
            yield self._event(
                "response.output_text.delta", delta=heard, logprobs=[], **self._place
            )
        elif heard.error is not None:
            response = ended(self._run, self._echo, heard)
            yield self._event("response.failed", response=response)
        else:
            yield from self._completed(heard)

    def _completed(self, reply: Reply) -> Iterable[bytes]:
        yield self._event(
            "response.output_text.done", text=reply.text, logprobs=[], **self._place
        )
        part = _part(reply.text)
        yield self._event("response.content_part.done", part=part, **self._place)
        item = _item(self._run, reply.text)
        yield self._event("response.output_item.done", output_index=0, item=item)
        response = ended(self._run, self._echo, reply)
        yield self._event("response.completed", response=response)

    def _event(self, kind: str, **fields: Any) -> bytes:
        frame = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return sse(frame, event=kind if self._named else None)


def failed(message: str, *, code: str) -> dict[str, Any]:
    """Return a refusal as LangBuilder's clients of responses know it, with 200."""
    return {"error": error_of(400, message, code=code)}
