"""Flows to attack with, drawn of this server's own components."""

from typing import Any
from uuid import uuid4

from domain.kernel import Json
from infrastructure.components.drawing import Drawing
from infrastructure.components.registry import BuiltinComponents
from tests.api.conftest import Person
from tests.api.runs_server import frames

COMPONENTS = BuiltinComponents()


def echo(template: str = "") -> dict[str, Any]:
    """What is said goes into a template and comes back."""
    drawing = Drawing(COMPONENTS)
    heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
    prompt = drawing.place(
        "Prompt Template-b",
        "Prompt Template",
        (1, 0),
        template="<{message}>",
    )
    answer = drawing.place("ChatOutput-c", "ChatOutput", (2, 0))
    drawing.connect(heard, "message", prompt, "message")
    drawing.connect(prompt, "prompt", answer, "input_value")
    document = dict(drawing.document())
    if template:
        field(document, "Prompt Template-b", "template")["value"] = template
    return document


def asking(**fields: Json) -> dict[str, Any]:
    """What is said goes to a model, and its answer comes back."""
    drawing = Drawing(COMPONENTS)
    heard = drawing.place("ChatInput-a", "ChatInput", (0, 0))
    model = drawing.place(
        "LanguageModelComponent-b", "LanguageModelComponent", (1, 0), **fields
    )
    answer = drawing.place("ChatOutput-c", "ChatOutput", (2, 0))
    drawing.connect(heard, "message", model, "input_value")
    drawing.connect(model, "text_output", answer, "input_value")
    return dict(drawing.document())


def field(document: dict[str, Any], vertex: str, name: str) -> dict[str, Any]:
    """Return a field of a document, to be changed in place."""
    [node] = [node for node in document["nodes"] if node["id"] == vertex]
    found: dict[str, Any] = node["data"]["node"]["template"][name]
    return found


async def saved(person: Person, data: Json, **more: Json) -> str:
    """Save a flow; return its id."""
    new = {"name": f"flow {uuid4()}", "data": data} | more
    answer = await person.post("/api/v1/flows/", json=new)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def built(person: Person, flow: str, **asked: Any) -> list[tuple[str, Any]]:
    """Build a flow; return the events it told."""
    answer = await person.post(f"/api/v1/build/{flow}/flow", json=asked)
    assert answer.status_code == 200, answer.text
    events = await person.get(f"/api/v1/build/{answer.json()['job_id']}/events")
    assert events.status_code == 200, events.text
    return frames(events.text)
