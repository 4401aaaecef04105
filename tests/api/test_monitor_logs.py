"""What the logs of a flow tell of its vertices, and what they do not."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import Join, Person
from tests.api.test_monitor import MONITOR, say

EDGE = {
    "id": "a-b",
    "source": "LanguageModelComponent-a",
    "target": "ChatOutput-b",
    "data": {
        "sourceHandle": {
            "dataType": "LanguageModelComponent",
            "id": "LanguageModelComponent-a",
            "name": "text_output",
            "output_types": ["Message"],
        },
        "targetHandle": {
            "fieldName": "input_value",
            "id": "ChatOutput-b",
            "inputTypes": ["Data", "DataFrame", "Message"],
            "type": "other",
        },
    },
}
"""A model's answer goes into the chat."""


@pytest.fixture(scope="module")
async def ada(join: Join) -> Person:
    """Somebody of these tests alone."""
    return await join("ada")


@pytest.fixture(scope="module")
async def echo(ada: Person) -> str:
    """Ada's flow that answers without a model."""
    flows = (await ada.get("/api/v1/flows/?header_flows=true")).json()
    return str(next(f for f in flows if f["name"] == "Words in a Template")["id"])


def placed(vertex: str, node: dict[str, Any]) -> dict[str, Any]:
    """A component on the canvas."""
    data = {"id": vertex, "type": vertex.partition("-")[0], "node": node}
    return {
        "id": vertex,
        "type": "genericNode",
        "position": {"x": 0, "y": 0},
        "data": data,
    }


async def test_a_log_tells_what_a_vertex_was_given(ada: Person, echo: str) -> None:
    await say(ada, echo, "hello", f"session {uuid4()}")
    page = (await ada.get(f"{MONITOR}/transactions?flow_id={echo}&size=100")).json()

    assert page.keys() == {"items", "total", "page", "size", "pages"}
    rows = {row["vertex_id"]: row for row in page["items"]}
    asked, prompt = rows["ChatInput-words"], rows["Prompt Template-words"]
    assert list(asked) == [
        *("timestamp", "vertex_id", "target_id", "inputs", "outputs", "status"),
        *("error", "flow_id", "id"),
    ]
    assert asked["inputs"]["input_value"] == "hello"
    assert asked["target_id"] == "Prompt Template-words"
    assert prompt["inputs"]["message"] == "hello"
    assert "code" not in asked["inputs"]
    assert datetime.fromisoformat(asked["timestamp"]).tzinfo is None


async def test_a_log_tells_no_secret(ada: Person) -> None:
    secret = f'canary "{uuid4()}'
    name = f"KEY_{uuid4().hex}"
    variable = {"name": name, "value": secret, "type": "Credential"}
    await ada.post("/api/v1/variables/", json=variable | {"default_fields": []})
    catalogue = (await ada.get("/api/v1/all")).json()
    model = catalogue["models"]["LanguageModelComponent"]
    model["template"]["provider"]["value"] = "Demo"
    model["template"]["model_name"]["value"] = "scripted-demo"
    model["template"]["api_key"] |= {"value": name, "load_from_db": True}
    model["template"]["input_value"]["value"] = f"say {secret} aloud"
    document = {
        "nodes": [
            placed("LanguageModelComponent-a", model),
            placed("ChatOutput-b", catalogue["input_output"]["ChatOutput"]),
        ],
        "edges": [EDGE],
    }
    made = await ada.post(
        "/api/v1/flows/", json={"name": f"leaky {uuid4()}", "data": document}
    )
    flow = made.json()["id"]
    await say(ada, flow, "x", f"s {uuid4()}")

    logs = await ada.get(f"{MONITOR}/transactions?flow_id={flow}")

    [row] = logs.json()["items"]
    assert row["inputs"]["input_value"] == "say ******** aloud"
    assert "api_key" not in row["inputs"]
    assert "canary" not in str(row["inputs"])
    assert row["status"] == "success"
