"""A realtime model of a test's own: it hears text as sound, and says it back."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

KEY = "sk-realtime-canary-4401"
HEARD = "conversation.item.input_audio_transcription.completed"
CALLED = "response.function_call_arguments.done"


class FakeRealtime:
    """
    Sound is text in base64 here, so that what was heard can be compared.

    It writes down what was committed, or asks the tool for it and says its answer.
    """

    def __init__(self) -> None:
        self.url = ""
        self.forget()

    def forget(self) -> None:
        """Be as if nobody had called yet."""
        self.heard: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.calls: list[ServerConnection] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeRealtime"]:
        async with serve(self._talk, "127.0.0.1", 0, process_request=_let_in) as server:
            port = server.sockets[0].getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/v1/realtime"
            yield self

    async def say(self, **event: Any) -> None:
        """Say something to whoever called last."""
        await self.calls[-1].send(json.dumps(event))

    def sessions(self) -> list[dict[str, Any]]:
        return [
            e["session"] for e in self.heard if e["type"].endswith("session.update")
        ]

    async def _talk(self, call: ServerConnection) -> None:
        self.calls.append(call)
        assert call.request is not None
        query = parse_qs(urlsplit(call.request.path).query)
        self.asked.append(query.get("model", query.get("intent", [""]))[0])
        await self.say(type="session.created")
        sound = ""
        with suppress(ConnectionClosed):
            async for text in call:
                event = json.loads(text)
                self.heard.append(event)
                match event["type"]:
                    case "input_audio_buffer.append":
                        sound += b64decode(event["audio"]).decode()
                    case "input_audio_buffer.commit":
                        await self._told(sound, transcribe="intent" in query)
                        sound = ""
                    case "conversation.item.create":
                        await self._answer(event["item"])
                    case _:
                        pass

    async def _told(self, text: str, *, transcribe: bool) -> None:
        if transcribe:
            await self.say(type=HEARD, transcript=text)
        else:
            arguments = text if text.startswith("{") else json.dumps({"input": text})
            await self.say(type=CALLED, call_id="call-1", arguments=arguments)

    async def _answer(self, item: dict[str, Any]) -> None:
        if item.get("type") == "function_call_output":
            said = json.loads(item["output"])
            await self.say(type="response.text.done", text=said.get("result", ""))
            await self.say(type="response.done", output=said)


def _let_in(call: ServerConnection, request: Request) -> Response | None:
    if request.headers.get("Authorization") == f"Bearer {KEY}":
        return None
    return call.respond(HTTPStatus.UNAUTHORIZED, "no")


async def ever(condition: Any, *, within: float = 10.0) -> None:
    """Wait until *condition*, a function, is true."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.005)
