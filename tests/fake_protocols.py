"""How four providers put the same answer: what the fake models write."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One request: what was asked, and how it ended."""

    provider: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    sent: int = 0
    finished: bool = False
    hung_up: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as ``{"role", "content"}``, whichever the protocol."""
        if self.provider == "google":
            first = self.body.get("systemInstruction") or {}
            said = [{"role": "system", "content": _google_text(first)}] if first else []
            return said + [
                {"role": turn.get("role", "user"), "content": _google_text(turn)}
                for turn in self.body.get("contents", [])
            ]
        said = [
            {"role": turn["role"], "content": _plain(turn["content"])}
            for turn in self.body.get("messages", [])
        ]
        if self.body.get("system"):
            said.insert(0, {"role": "system", "content": _plain(self.body["system"])})
        return said

    @property
    def streaming(self) -> bool:
        if self.provider == "google":
            return "stream" in self.path
        return bool(self.body.get("stream", self.provider == "ollama"))


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _google_text(turn: dict[str, Any]) -> str:
    return "".join(part.get("text", "") for part in turn.get("parts", []))


def given_key(call: Call) -> str:
    bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
    return (
        bearer
        or call.headers.get("x-api-key", "")
        or call.headers.get("x-goog-api-key", "")
    )


def refusal(call: Call, status: int, message: str) -> dict[str, Any]:
    match call.provider:
        case "google":
            return {"error": {"code": status, "message": message, "status": "FAILED"}}
        case "ollama":
            return {"error": message}
        case "anthropic":
            return {"type": "error", "error": {"type": "bad", "message": message}}
        case _:
            return {"error": {"message": message, "type": "bad", "code": None}}


def _sse(body: dict[str, Any], event: str | None = None) -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(body)}\n\n".encode()


def _asked(call: Call) -> int:
    return sum(len(turn["content"].split()) for turn in call.messages)


# --- OpenAI


def _openai_whole(call: Call, text: str, counts: bool) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    whole = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 1,
        "model": call.body.get("model"),
        "choices": [choice],
    }
    return {**whole, "usage": _openai_usage(call, text.split())} if counts else whole


def _openai_usage(call: Call, words: list[str]) -> dict[str, int]:
    asked = _asked(call)
    return {
        "prompt_tokens": asked,
        "completion_tokens": len(words),
        "total_tokens": asked + len(words),
    }


def _openai_chunk(call: Call, delta: dict[str, Any], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return _openai_frame(call, choices=[choice])


def _openai_frame(call: Call, **more: Any) -> bytes:
    frame = {
        "id": "chatcmpl-fake",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": call.body.get("model"),
        **more,
    }
    return _sse(frame)


def _openai_head(call: Call, words: list[str], counts: bool) -> list[bytes]:
    return [_openai_chunk(call, {"role": "assistant", "content": ""}, None)]


def _openai_tail(call: Call, words: list[str], counts: bool) -> list[bytes]:
    tail = [_openai_chunk(call, {}, "stop")]
    wanted = (call.body.get("stream_options") or {}).get("include_usage")
    if counts and wanted:
        usage = _openai_usage(call, words)
        tail.append(_openai_frame(call, choices=[], usage=usage))
    return [*tail, b"data: [DONE]\n\n"]


# --- Anthropic


def _anthropic_message(call: Call, **more: Any) -> dict[str, Any]:
    return {
        "id": "msg_fake",
        "type": "message",
        "role": "assistant",
        "model": call.body.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": _asked(call), "output_tokens": 0},
        **more,
    }


def _anthropic_whole(call: Call, text: str, counts: bool) -> dict[str, Any]:
    return _anthropic_message(
        call,
        content=[{"type": "text", "text": text}],
        stop_reason="end_turn",
        usage={"input_tokens": _asked(call), "output_tokens": len(text.split())},
    )


def _anthropic_event(kind: str, **more: Any) -> bytes:
    return _sse({"type": kind, **more}, event=kind)


def _anthropic_head(call: Call, words: list[str], counts: bool) -> list[bytes]:
    block = {"type": "text", "text": ""}
    return [
        _anthropic_event("message_start", message=_anthropic_message(call)),
        _anthropic_event("content_block_start", index=0, content_block=block),
    ]


def _anthropic_piece(call: Call, word: str) -> bytes:
    delta = {"type": "text_delta", "text": word}
    return _anthropic_event("content_block_delta", index=0, delta=delta)


def _anthropic_tail(call: Call, words: list[str], counts: bool) -> list[bytes]:
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"input_tokens": _asked(call), "output_tokens": len(words)}
    return [
        _anthropic_event("content_block_stop", index=0),
        _anthropic_event("message_delta", delta=end, usage=usage),
        _anthropic_event("message_stop"),
    ]


# --- Google


def _google_part(text: str, **more: Any) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text}]}
    return {"candidates": [{"content": content, "index": 0, **more}]}


def _google_usage(call: Call, words: list[str]) -> dict[str, Any]:
    asked = _asked(call)
    return {
        "usageMetadata": {
            "promptTokenCount": asked,
            "candidatesTokenCount": len(words),
            "totalTokenCount": asked + len(words),
        }
    }


def _google_whole(call: Call, text: str, counts: bool) -> dict[str, Any]:
    return {
        **_google_part(text, finishReason="STOP"),
        **_google_usage(call, text.split()),
    }


def _google_tail(call: Call, words: list[str], counts: bool) -> list[bytes]:
    end = _google_part("", finishReason="STOP")
    return [_sse({**end, **_google_usage(call, words)})]


# --- Ollama


def _ollama_line(call: Call, text: str, *, done: bool, **more: Any) -> dict[str, Any]:
    return {
        "model": call.body.get("model"),
        "created_at": "2026-01-01T00:00:00Z",
        "message": {"role": "assistant", "content": text},
        "done": done,
        **more,
    }


def _ollama_counts(call: Call, words: list[str]) -> dict[str, Any]:
    return {
        "done_reason": "stop",
        "prompt_eval_count": _asked(call),
        "eval_count": len(words),
        "total_duration": 1,
    }


def _ollama_whole(call: Call, text: str, counts: bool) -> dict[str, Any]:
    return _ollama_line(call, text, done=True, **_ollama_counts(call, text.split()))


def _ollama_piece(call: Call, word: str) -> bytes:
    return json.dumps(_ollama_line(call, word, done=False)).encode() + b"\n"


def _ollama_tail(call: Call, words: list[str], counts: bool) -> list[bytes]:
    last = _ollama_line(call, "", done=True, **_ollama_counts(call, words))
    return [json.dumps(last).encode() + b"\n"]


WHOLE = {
    "openai": _openai_whole,
    "anthropic": _anthropic_whole,
    "google": _google_whole,
    "ollama": _ollama_whole,
}
HEAD: dict[str, Callable[[Call, list[str], bool], list[bytes]]] = {
    "openai": _openai_head,
    "anthropic": _anthropic_head,
    "google": lambda *_: [],
    "ollama": lambda *_: [],
}
PIECE: dict[str, Callable[[Call, str], bytes]] = {
    "openai": lambda call, word: _openai_chunk(call, {"content": word}, None),
    "anthropic": _anthropic_piece,
    "google": lambda _, word: _sse(_google_part(word)),
    "ollama": _ollama_piece,
}
TAIL = {
    "openai": _openai_tail,
    "anthropic": _anthropic_tail,
    "google": _google_tail,
    "ollama": _ollama_tail,
}
