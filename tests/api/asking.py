"""Flows that talk with a model, and the official client that talks with them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import openai

from api.composition import Application
from domain.kernel import Json
from infrastructure.components.drawing import Drawing
from tests.api.conftest import Person


def talkative(application: Application) -> Json:
    """Return a flow with a memory and a model that answers from it."""
    drawing = Drawing(application.world.components)
    heard = drawing.place("ChatInput-t", "ChatInput", (0, 0))
    history = drawing.place("Memory-t", "Memory", (0, 1))
    prompt = drawing.place(
        "Prompt Template-t", "Prompt Template", (1, 1), template="Said:\n{history}"
    )
    model = drawing.place(
        "LanguageModelComponent-t",
        "LanguageModelComponent",
        (2, 0),
        provider="OpenAI",
        api_key="sk-for-the-fake",
    )
    answer = drawing.place("ChatOutput-t", "ChatOutput", (3, 0))
    drawing.connect(history, "messages_text", prompt, "history")
    drawing.connect(prompt, "prompt", model, "system_message")
    drawing.connect(heard, "message", model, "input_value")
    drawing.connect(model, "text_output", answer, "input_value")
    document = drawing.document()
    for node in document["nodes"]:
        if key := node["data"]["node"]["template"].get("api_key"):
            key["load_from_db"] = False
    return document


async def drawn_by(
    person: Person, document: Json, *, endpoint: bool = False
) -> tuple[str, str]:
    """Save *document* as a flow of *person*'s; return its id and endpoint name."""
    name = f"flow-{uuid4().hex}"
    body = {"name": name, "data": document, "endpoint_name": name if endpoint else None}
    answer = await person.post("/api/v1/flows/", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"]), name


async def key_of(person: Person) -> str:
    """Return a new API key of *person*'s."""
    answer = await person.post("/api/v1/api_key/", json={"name": uuid4().hex})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["api_key"])


@asynccontextmanager
async def client_of(
    person: Person, *, under: str = "/v1"
) -> AsyncIterator[openai.AsyncOpenAI]:
    """Lend the official client, with an API key of *person*'s."""
    base = str(person.base_url).rstrip("/") + under
    async with openai.AsyncOpenAI(base_url=base, api_key=await key_of(person)) as one:
        yield one
