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

from tests.fake_protocols import (
    HEAD,
    PIECE,
    TAIL,
    WHOLE,
    Call,
    given_key,
    refusal,
)

type Answer = str | Callable[["Call"], str]


@dataclass
class FakeModels:
    """
    What it answers and how it misbehaves.

    ``delay`` passes before the first byte, ``pause`` between two words. ``fail`` is
    an HTTP status to answer with (``failures`` times, or always when None);
    ``cut_after`` words the line is cut, ``stop_after`` words the stream ends politely
    but without its last word. After ``hold_after`` words it says no more until ``go``
    is set. ``key`` is the only key taken, when set.
    """

    answer: Answer = "Hello from the fake model."
    delay: float = 0.0
    pause: float = 0.0
    fail: int | None = None
    failures: int | None = None
    fail_with: str = "something is wrong"
    cut_after: int | None = None
    stop_after: int | None = None
    hold_after: int | None = None
    go: asyncio.Event | None = None
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
        refused = self._refusal(call)
        if refused is not None:
            _write(writer, refused[0], json.dumps(refused[1]).encode())
        elif call.streaming:
            await self._stream(call, writer)
        else:
            text = self._text(call)
            if self.cut_after is not None:
                writer.transport.abort()
                return
            whole = WHOLE[call.provider](call, text, self.counts_tokens)
            _write(writer, 200, json.dumps(whole).encode())
        await writer.drain()
        call.finished = True

    def _refusal(self, call: Call) -> tuple[int, dict[str, Any]] | None:
        if call.provider == "unknown":
            return 404, {"error": {"message": f"no such path {call.path}"}}
        given = given_key(call)
        if self.key is not None and given != self.key:
            shown = f"Incorrect API key provided: {given}. Find yours elsewhere."
            return 401, refusal(call, 401, shown)
        if self.fail is not None and self.failures != 0:
            if self.failures is not None:
                self.failures -= 1
            return self.fail, refusal(call, self.fail, self.fail_with)
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
        for head in HEAD[call.provider](call, words, self.counts_tokens):
            _chunk(writer, head)
        for word in words[:last]:
            if self.cut_after is not None and call.sent >= self.cut_after:
                await writer.drain()
                writer.transport.abort()
                return
            if call.sent == self.hold_after and self.go is not None:
                await self.go.wait()
            _chunk(writer, PIECE[call.provider](call, word))
            await writer.drain()
            call.sent += 1
            await asyncio.sleep(self.pause)
        if self.stop_after is None:
            for tail in TAIL[call.provider](call, words, self.counts_tokens):
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


def _write(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(
        f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
        + body
    )


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _forever(port: int) -> None:
    async with FakeModels(port=port, pause=0.02) as fake:
        print(f"OpenAI's protocol at {fake.openai_url}, the others at {fake.url}")
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_forever(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
