"""Realtime models that speak OpenAI's protocol, over a WebSocket."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, override
from urllib.parse import urlencode

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    WebSocketException,
)

from application.ports.voices import (
    Call,
    Realtime,
    VoiceAwayError,
    VoiceKeyRefusedError,
)
from domain.kernel import Json

OPENAI: Final = "wss://api.openai.com/v1/realtime"
LARGEST: Final = 4 * 1024 * 1024
"""Bytes of one event of the model's."""
WAITING: Final = 16
"""Events that may wait before the model's connection is read no further."""
OPENING: Final = 10.0
SLOW: Final = 20.0
UNWANTED: Final = frozenset({401, 403})


class OpenAiRealtime(Realtime):
    """
    Conversations with OpenAI, or with a compatible server that the operator named.

    The address comes from the operator alone, so no guard stands before it.
    """

    def __init__(self, url: str | None, *, model: str) -> None:
        self._url = url or OPENAI
        self._model = model

    @override
    def talking(self, key: str) -> Any:
        return _open(f"{self._url}?{urlencode({'model': self._model})}", key)

    @override
    def transcribing(self, key: str) -> Any:
        return _open(f"{self._url}?intent=transcription", key)


@asynccontextmanager
async def _open(url: str, key: str) -> AsyncIterator[Call]:
    try:
        socket = await connect(
            url,
            additional_headers={
                "Authorization": f"Bearer {key}",
                "OpenAI-Beta": "realtime=v1",
            },
            open_timeout=OPENING,
            max_size=LARGEST,
            max_queue=WAITING,
            proxy=None,
        )
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status in UNWANTED:
            raise VoiceKeyRefusedError from None
        raise VoiceAwayError(f"it answers with {status}") from None
    except (WebSocketException, OSError, ValueError) as failed:
        # Its text may hold the key; its kind says enough.
        raise VoiceAwayError(type(failed).__name__) from None
    async with socket:
        yield _Call(socket)


class _Call(Call):
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    @override
    async def say(self, event: Mapping[str, Json]) -> None:
        try:
            await self._socket.send(msgspec.json.encode(event).decode())
        except ConnectionClosed:
            raise VoiceAwayError("it has hung up") from None

    @override
    async def hear(self) -> AsyncGenerator[dict[str, Json]]:
        try:
            async for said in self._socket:
                event = _read(said)
                if event is not None:
                    yield event
        except ConnectionClosed:
            return


def _read(said: str | bytes) -> dict[str, Json] | None:
    """Return an event; what is none is passed over, for it says nothing to anybody."""
    try:
        return msgspec.json.decode(said, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
