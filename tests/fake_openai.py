"""
A model server on loopback that speaks four providers' protocols, badly if asked to.

``async with FakeModels() as fake:`` starts it in this event loop; in a shell,
``python -m tests.fake_openai 8100`` does so on a port. Every knob may be turned
between two calls.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

type Answer = str | Callable[["Call"], str]


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


@dataclass
class FakeModels:
    """
    What it answers and how it misbehaves.

    ``delay`` passes before the first byte, ``pause`` between two words. ``fail`` is
    an HTTP status to answer with (``failures`` times, or always when None);
    ``cut_after`` words the line is cut, ``stop_after`` words the stream ends politely
    but without its last word. ``key`` is the only key taken, when set.
    """

    answer: Answer = "Hello from the fake model."
    delay: float = 0.0
    pause: float = 0.0
    fail: int | None = None
    failures: int | None = None
    fail_with: str = "something is wrong"
    cut_after: int | None = None
    stop_after: int | None = None
    key: str | None = None
    counts_tokens: bool = True
    calls: list[Call] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, limit=2**24
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """What ``LANGBUILDER_OPENAI_BASE_URL`` would be."""
        return f"{self.url}/v1"

    @property
    def base_urls(self) -> dict[str, str]:
        return {
            "OpenAI": self.openai_url,
            "Anthropic": self.url,
            "Google": self.url,
            "Ollama": self.url,
        }

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        call = None
        try:
            call = await _read_call(reader)
            if call is not None:
                self.calls.append(call)
                await self._reply(call, reader, writer)
        except ConnectionError:
            if call is not None:
                call.hung_up = True
        finally:
            if call is not None:
                call.ended.set()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _reply(
        self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer, unless the client hangs up first: then stop at once."""
        speaking = asyncio.ensure_future(self._speak(call, writer))
        hanging_up = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait(
                (speaking, hanging_up), return_when=asyncio.FIRST_COMPLETED
            )
            if speaking.done():
                speaking.result()
            else:
                call.hung_up = True
        finally:
            speaking.cancel()
            hanging_up.cancel()
            await asyncio.gather(speaking, hanging_up, return_exceptions=True)

    async def _speak(self, call: Call, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.delay)
        refusal = self._refusal(call)
        if refusal is not None:
            _write(writer, refusal[0], json.dumps(refusal[1]).encode())
        elif call.streaming:
            await self._stream(call, writer)
        else:
            text = self._text(call)
            if self.cut_after is not None:
                writer.transport.abort()
                return
            whole = _WHOLE[call.provider](call, text, self.counts_tokens)
            _write(writer, 200, json.dumps(whole).encode())
        await writer.drain()
        call.finished = True

    def _refusal(self, call: Call) -> tuple[int, dict[str, Any]] | None:
        if call.provider == "unknown":
            return 404, {"error": {"message": f"no such path {call.path}"}}
        given = _given_key(call)
        if self.key is not None and given != self.key:
            shown = f"Incorrect API key provided: {given}. Find yours elsewhere."
            return 401, _error(call, 401, shown)
        if self.fail is not None and self.failures != 0:
            if self.failures is not None:
                self.failures -= 1
            return self.fail, _error(call, self.fail, self.fail_with)
        return None

    def _text(self, call: Call) -> str:
        return self.answer(call) if callable(self.answer) else self.answer

    async def _stream(self, call: Call, writer: asyncio.StreamWriter) -> None:
        kind = "application/x-ndjson" if call.provider == "ollama" else _SSE
        writer.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n"
            "transfer-encoding: chunked\r\n\r\n".encode()
        )
        words = self._words(call)
        last = self.stop_after if self.stop_after is not None else len(words)
        for head in _HEAD[call.provider](call, words, self.counts_tokens):
            _chunk(writer, head)
        for word in words[:last]:
            if self.cut_after is not None and call.sent >= self.cut_after:
                await writer.drain()
                writer.transport.abort()
                return
            _chunk(writer, _PIECE[call.provider](call, word))
            await writer.drain()
            call.sent += 1
            await asyncio.sleep(self.pause)
        if self.stop_after is None:
            for tail in _TAIL[call.provider](call, words, self.counts_tokens):
                _chunk(writer, tail)
        writer.write(b"0\r\n\r\n")

    def _words(self, call: Call) -> list[str]:
        words = self._text(call).split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]


_SSE = "text/event-stream"


async def _read_call(reader: asyncio.StreamReader) -> Call | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    path = first.split(" ")[1]
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await _read_body(reader, headers)
    provider = next((name for part, name in _PATHS.items() if part in path), "unknown")
    return Call(provider, path, headers, json.loads(body or b"{}"))


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readline()).strip() or b"0", 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


_PATHS = {
    "/chat/completions": "openai",
    "/v1/messages": "anthropic",
    "enerateContent": "google",
    "/api/chat": "ollama",
}


def _given_key(call: Call) -> str:
    bearer = call.headers.get("authorization", "").removeprefix("Bearer ")
    return (
        bearer
        or call.headers.get("x-api-key", "")
        or call.headers.get("x-goog-api-key", "")
    )


def _error(call: Call, status: int, message: str) -> dict[str, Any]:
    match call.provider:
        case "google":
            return {"error": {"code": status, "message": message, "status": "FAILED"}}
        case "ollama":
            return {"error": message}
        case "anthropic":
            return {"type": "error", "error": {"type": "bad", "message": message}}
        case _:
            return {"error": {"message": message, "type": "bad", "code": None}}


def _write(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(
        f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
        + body
    )


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


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


_WHOLE = {
    "openai": _openai_whole,
    "anthropic": _anthropic_whole,
    "google": _google_whole,
    "ollama": _ollama_whole,
}
_HEAD: dict[str, Callable[[Call, list[str], bool], list[bytes]]] = {
    "openai": _openai_head,
    "anthropic": _anthropic_head,
    "google": lambda *_: [],
    "ollama": lambda *_: [],
}
_PIECE: dict[str, Callable[[Call, str], bytes]] = {
    "openai": lambda call, word: _openai_chunk(call, {"content": word}, None),
    "anthropic": _anthropic_piece,
    "google": lambda _, word: _sse(_google_part(word)),
    "ollama": _ollama_piece,
}
_TAIL = {
    "openai": _openai_tail,
    "anthropic": _anthropic_tail,
    "google": _google_tail,
    "ollama": _ollama_tail,
}


async def _forever(port: int) -> None:
    async with FakeModels(port=port, pause=0.02) as fake:
        print(f"OpenAI's protocol at {fake.openai_url}, the others at {fake.url}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_forever(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
