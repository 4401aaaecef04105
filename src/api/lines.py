"""Connections: how long the head of a request may take, and how large it may be."""

import asyncio
from typing import Any, Final, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_WITHIN: Final = 20.0
"""Seconds in which the head of a request must have come."""
LARGEST_HEAD: Final = 64 * 1024
"""Bytes of a head: its first line and its headers."""

_REFUSED: Final = (
    "HTTP/1.1 {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n"
    "connection: close\r\n\r\n{}"
)


class Line(HttpToolsProtocol):
    """A connection whose client has to get to the point."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._waiting: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a first request."""
        super().connection_made(transport)
        self._wait()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        """Take in what came, unless a head has become too large by it."""
        super().data_received(data)
        if self._waiting is not None:
            self._head += len(data)
            if self._head > LARGEST_HEAD:
                self._refuse("431 Request Header Fields Too Large")

    @override
    def on_message_begin(self) -> None:
        """Wait for the rest of the head."""
        super().on_message_begin()
        if self._waiting is None:
            self._wait()

    @override
    def on_headers_complete(self) -> None:
        """Answer the request; its body is for others to wait for."""
        self._stop_waiting()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._head = 0
        self._waiting = self.loop.call_later(
            HEAD_WITHIN, self._refuse, "408 Request Timeout"
        )

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: str) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        # Of who opened a line to have it ready, nobody waits for words.
        if self._head and (cycle is None or cycle.response_complete):
            body = f'{{"detail":"{status[4:]}"}}'
            self.transport.write(_REFUSED.format(status, len(body), body).encode())
        self.transport.close()
