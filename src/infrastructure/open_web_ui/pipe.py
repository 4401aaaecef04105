"""The program that OpenWebUI runs to ask one flow: text, with nobody's key in it."""

from string import Template
from typing import Final

from application.ports.publishing import Model

_PROGRAM: Final = Template('''\
"""
title: LangBuilder
description: Asks one flow of a LangBuilder server.
version: 1.0.0
"""

import json

import httpx
from pydantic import BaseModel, Field

FLOW = $flow
NAME = $name


class Pipe:
    class Valves(BaseModel):
        LANGBUILDER_URL: str = Field(default=$server)
        LANGBUILDER_API_KEY: str = Field(default="")
        TIMEOUT_SECONDS: int = Field(default=600)

    def __init__(self):
        self.name = NAME
        self.valves = self.Valves()

    async def pipe(self, body, __metadata__=None):
        request = {
            "model": FLOW,
            "messages": [
                {"role": one["role"], "content": one.get("content")}
                for one in body.get("messages", [])
                if one.get("role") in ("system", "user", "assistant")
            ],
            "stream": bool(body.get("stream")),
        }
        chat = (__metadata__ or {}).get("chat_id")
        if chat:
            request["metadata"] = {"session_id": str(chat)}
        if request["stream"]:
            return self._pieces(request)
        return "".join([piece async for piece in self._pieces(request)])

    async def _pieces(self, request):
        url = self.valves.LANGBUILDER_URL.rstrip("/") + "/v1/chat/completions"
        headers = {"x-api-key": self.valves.LANGBUILDER_API_KEY}
        timeout = self.valves.TIMEOUT_SECONDS
        async with httpx.AsyncClient(timeout=timeout, headers=headers) as client:
            async with client.stream("POST", url, json=request) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    yield f"LangBuilder says {answer.status_code}: {answer.text[:500]}"
                    return
                if not request["stream"]:
                    await answer.aread()
                    yield answer.json()["choices"][0]["message"]["content"]
                    return
                async for line in answer.aiter_lines():
                    if not line.startswith("data: ") or line == "data: [DONE]":
                        continue
                    said = json.loads(line[6:])
                    if said.get("error"):
                        yield str(said["error"].get("message", "The flow failed."))
                        return
                    for choice in said.get("choices", []):
                        text = choice.get("delta", {}).get("content")
                        if text:
                            yield text
''')


def program(model: Model) -> str:
    """
    Return the pipe function that asks *model*'s flow.

    What people chose goes in as literals, so that a name cannot become code. The
    API key is a valve, which OpenWebUI keeps apart from the text.
    """
    return _PROGRAM.substitute(
        flow=ascii(model.flow), name=ascii(model.name), server=ascii(model.server)
    )
