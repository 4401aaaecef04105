"""A response of OpenAI's protocol, told from the run that carries it out."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID, uuid5

from api.openai.naming import moment_of
from api.openai.problems import error_of
from api.openai.speaking import sse
from application.replies import Reply
from domain.run.asked import Asked

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
        "reasoning": {"effort": None, "summary": None},
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


def items_of(run: UUID, asked: Asked) -> list[dict[str, Any]]:
    """Return the messages that a response was asked, in order; images by their file."""
    echo = asked.echo
    told = asked.told[1:] if echo.get("instructions") else asked.told
    said = [_content_of(one.sender, one.text) for one in told]
    images = [
        {"type": "input_image", "detail": "auto", "file_id": path, "image_url": None}
        for path in asked.files
    ]
    role, content = _content_of("User", asked.input_value)
    said.insert(echo.get("place", len(said)), (role, [*content, *images]))
    return [
        {
            "id": f"msg_{uuid5(run, f'input {place}').hex}",
            "type": "message",
            "status": "completed",
            "role": role,
            "content": content,
        }
        for place, (role, content) in enumerate(said)
    ]


def _content_of(sender: str, text: str) -> tuple[str, list[dict[str, Any]]]:
    role = {"User": "user", "Machine": "assistant"}.get(sender, "system")
    part = {"type": "input_text", "text": text}
    return role, [_part(text) if role == "assistant" else part]


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

    Those of a response in the background are numbered by how much text went before,
    so that a number says the same to every listener, however the pieces fell. Who has
    heard up to *after* is told the rest, and the last event in any case.
    """

    def __init__(
        self, run: UUID, echo: Echo, *, named: bool, after: int | None = None
    ) -> None:
        self._run = run
        self._echo = echo
        self._named = named
        self._by_text = bool(echo.get("background"))
        self._after = -1 if after is None else after
        self._number = 0
        self._place: dict[str, Any] = {
            "item_id": f"msg_{run.hex}",
            "output_index": 0,
            "content_index": 0,
        }

    def begin(self) -> Iterable[bytes]:
        """Yield what comes before the first piece of text."""
        going = response_of(self._run, self._echo, status="in_progress")
        if self._by_text:
            queued = response_of(self._run, self._echo, status="queued")
            yield from self._event("response.created", response=queued)
            yield from self._event("response.queued", response=queued)
        else:
            yield from self._event("response.created", response=going)
        yield from self._event("response.in_progress", response=going)
        item = _item(self._run, "", status="in_progress")
        added = "response.output_item.added"
        yield from self._event(added, output_index=0, item=item)
        part = _part("")
        yield from self._event("response.content_part.added", part=part, **self._place)

    def say(self, heard: str | Reply) -> Iterable[bytes]:
        """Yield what a piece of text, or the end, comes to."""
        if isinstance(heard, str):
            yield from self._delta(heard)
        elif heard.error is not None:
            response = ended(self._run, self._echo, heard)
            yield from self._event("response.failed", last=True, response=response)
        else:
            yield from self._completed(heard)

    def _delta(self, piece: str) -> Iterable[bytes]:
        if self._by_text:
            self._number += len(piece) - 1
            if self._number <= self._after:
                self._number += 1
                return
            piece = piece[-(self._number - self._after) :]
        kind = "response.output_text.delta"
        yield from self._event(kind, delta=piece, logprobs=[], **self._place)

    def _completed(self, reply: Reply) -> Iterable[bytes]:
        text, part = reply.text, _part(reply.text)
        done = "response.output_text.done"
        yield from self._event(done, text=text, logprobs=[], **self._place)
        yield from self._event("response.content_part.done", part=part, **self._place)
        done, item = "response.output_item.done", _item(self._run, text)
        yield from self._event(done, output_index=0, item=item)
        response = ended(self._run, self._echo, reply)
        yield from self._event("response.completed", last=True, response=response)

    def _event(
        self, kind: str, *, last: bool = False, **fields: Any
    ) -> Iterable[bytes]:
        number = self._number
        self._number += 1
        if number > self._after or last:
            frame = {"type": kind, "sequence_number": number, **fields}
            yield sse(frame, event=kind if self._named else None)


def failed(message: str, *, code: str) -> dict[str, Any]:
    """Return a refusal as LangBuilder's clients of responses know it, with 200."""
    return {"error": error_of(400, message, code=code)}
