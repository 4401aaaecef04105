"""Servers that read aloud, of a test's own: OpenAI's speech and ElevenLabs' voices."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from litestar.response import Stream

from tests.standins import standing_in

ELEVEN = "xi-canary-7720"

Asked = Request[Any, Any, Any]


class FakeSpeech:
    """
    The sound of a character is one sample, sent in pieces that cut samples in two.

    ``waits`` holds back what comes after the first piece.
    """

    def __init__(self, openai_key: str) -> None:
        self.url = ""
        self.openai_key = openai_key
        self.forget()

    def forget(self) -> None:
        """Be as if nobody had asked yet."""
        self.said: list[dict[str, Any]] = []
        self.waits: asyncio.Event | None = None
        self.hushed = False

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeSpeech"]:
        async with standing_in(self._routes(), host="127.0.0.1") as self.url:
            yield self

    async def _sound(self, text: str) -> AsyncIterator[bytes]:
        sound = text.encode("utf-16-le")
        yield sound[:3]
        try:
            if self.waits is not None:
                await self.waits.wait()
        except asyncio.CancelledError:
            self.hushed = True
            raise
        yield sound[3:]

    def _routes(self) -> list[Any]:
        @post("/v1/audio/speech", status_code=200)
        async def speech(request: Asked) -> Stream:
            if request.headers.get("authorization") != f"Bearer {self.openai_key}":
                raise HTTPException("no", status_code=401)
            self.said.append(await request.json())
            return Stream(self._sound(self.said[-1]["input"]))

        @post("/v1/text-to-speech/{voice:str}/stream", status_code=200)
        async def spoken(request: Asked, voice: FromPath[str]) -> Stream:
            _enter(request)
            asked = await request.json() | {"voice": voice}
            self.said.append(asked | {"format": request.query_params["output_format"]})
            if voice == "nobody":
                raise HTTPException("no such voice", status_code=404)
            return Stream(self._sound(asked["text"]))

        @get("/v1/voices")
        async def voices(request: Asked) -> dict[str, Any]:
            _enter(request)
            known = [{"voice_id": "v1", "name": "Rachel", "category": "premade"}]
            return {"voices": known}

        return [speech, spoken, voices]


def _enter(request: Asked) -> None:
    if request.headers.get("xi-api-key") != ELEVEN:
        raise HTTPException("no", status_code=401)
