"""Servers that read texts aloud: OpenAI's speech, and ElevenLabs' voices."""

from collections.abc import AsyncGenerator
from typing import Any, Final, override
from urllib.parse import quote

import httpx
import msgspec

from application.ports.voices import (
    Choir,
    Mouth,
    NamedVoice,
    VoiceAwayError,
    VoiceKeyRefusedError,
    VoiceRefusedError,
)

OPENAI: Final = "https://api.openai.com/v1"
ELEVENLABS: Final = "https://api.elevenlabs.io"
SAMPLE: Final = 2
"""Bytes of one sample."""
LONGEST: Final = 600 * 48_000
"""Bytes of sound of one text: ten minutes."""
LARGEST: Final = 4 * 1024 * 1024
TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)
UNWANTED: Final = frozenset({401, 403})


class OpenAiSpeech(Mouth):
    """Speech by OpenAI, or by a compatible server that the operator named."""

    def __init__(self, base_url: str | None, *, model: str) -> None:
        self._base_url = (base_url or OPENAI).rstrip("/")
        self._model = model

    @override
    async def speak(self, text: str, *, voice: str, key: str) -> AsyncGenerator[bytes]:
        body = {
            "model": self._model,
            "input": text,
            "voice": voice,
            "response_format": "pcm",
        }
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{self._base_url}/audio/speech"
        async for piece in _spoken(url, body, headers):
            yield piece


class ElevenLabs(Choir):
    """Voices of ElevenLabs, or of a compatible server that the operator named."""

    def __init__(self, base_url: str | None, *, model: str) -> None:
        self._base_url = (base_url or ELEVENLABS).rstrip("/")
        self._model = model

    @override
    async def speak(self, text: str, *, voice: str, key: str) -> AsyncGenerator[bytes]:
        url = f"{self._base_url}/v1/text-to-speech/{quote(voice, safe='')}/stream"
        body = {"text": text, "model_id": self._model}
        headers = {"xi-api-key": key}
        async for piece in _spoken(f"{url}?output_format=pcm_24000", body, headers):
            yield piece

    @override
    async def voices(self, key: str) -> list[NamedVoice]:
        try:
            async with (
                _client({"xi-api-key": key}) as client,
                client.stream("GET", f"{self._base_url}/v1/voices") as answer,
            ):
                _check(answer)
                body = bytearray()
                async for piece in answer.aiter_bytes():
                    body += piece
                    if len(body) > LARGEST:
                        raise VoiceRefusedError("it answers with more than is read")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as failed:
            raise VoiceAwayError(type(failed).__name__) from None
        try:
            return msgspec.json.decode(body, type=_Voices).voices
        except msgspec.DecodeError:
            raise VoiceRefusedError("it does not list voices") from None


class _Voices(msgspec.Struct):
    voices: list[NamedVoice]


def _client(headers: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers=headers, timeout=TIMEOUT, trust_env=False)


async def _spoken(
    url: str, body: dict[str, Any], headers: dict[str, str]
) -> AsyncGenerator[bytes]:
    said, rest = 0, b""
    try:
        async with (
            _client(headers) as client,
            client.stream("POST", url, json=body) as answer,
        ):
            _check(answer)
            async for piece in answer.aiter_bytes():
                sound, whole = rest + piece, (len(rest) + len(piece)) // SAMPLE
                said += len(piece)
                if said > LONGEST:
                    raise VoiceRefusedError("it speaks for more than ten minutes")
                if whole:  # half a sample would shift all that follow
                    yield sound[: whole * SAMPLE]
                rest = sound[whole * SAMPLE :]
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as failed:
        # Its text may hold the address or the key; its kind says enough.
        raise VoiceAwayError(type(failed).__name__) from None


def _check(answer: httpx.Response) -> None:
    if answer.status_code in UNWANTED:
        raise VoiceKeyRefusedError
    if not answer.is_success:
        raise VoiceRefusedError(f"it answers with {answer.status_code}")
