"""Bodies to begin with: written by hand where it helps, else drawn from the schema."""

from collections.abc import Mapping
from typing import Any, Final

DEEPEST: Final = 8

WRITTEN: Final[dict[str, Any]] = {
    "Form": {"username": "ada", "password": "correct horse battery"},
    "SignUp": {"username": "ada", "password": "correct horse battery"},
    "NewPassword": {"password": "another horse battery"},
    "NewKey": {"name": "reports"},
    "NewFlow": {"name": "Greeter", "data": {"nodes": [], "edges": []}},
    "FlowChange": {"name": "Greeter", "description": "Says hello"},
    "NewProject": {"name": "Reports", "description": "What runs every night"},
    "ProjectChange": {"name": "Reports"},
    "NewVariable": {
        "name": "OPENAI_API_KEY",
        "value": "sk-…",
        "type": "Credential",
        "default_fields": ["OpenAI API Key"],
    },
    "MessageChange": {"text": "What I meant was tea"},
    "StoreKey": {"api_key": "a-key"},
    "StoreComponentCreate": {
        "name": "Greeter",
        "description": "Says hello",
        "data": {"nodes": [], "edges": []},
        "tags": [],
        "is_component": False,
    },
    "PublishRequest": {
        "flow_id": "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a",
        "openwebui_url": "https://chat.example.org",
        "openwebui_api_key": "sk-theirs",
        "model_name": "Ask our handbook",
    },
    "UnpublishRequest": {
        "flow_id": "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a",
        "openwebui_url": "https://chat.example.org",
        "openwebui_api_key": "sk-theirs",
    },
    "RunRequest": {
        "input_value": "hello",
        "input_type": "chat",
        "output_type": "chat",
        "session_id": "user_1",
    },
    "BuildRequest": {"inputs": {"input_value": "hello", "session": "user_1"}},
}
"""A body by the name of its Struct. One that is not here is drawn from the schema."""

OF_FORMAT: Final = {
    "uuid": "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a",
    "date-time": "2026-11-21T20:53:29Z",
    "date": "2026-11-21",
    "uri": "https://example.org/",
}


def example_of(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Return a small body of *schema*: what must be there, and what has an example."""
    return _drawn(schema, schemas, DEEPEST)


def _drawn(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int) -> Any:
    if name := _named(schema):
        if name in WRITTEN:
            return WRITTEN[name]
        return _drawn(schemas[name], schemas, depth - 1) if depth else None
    for given in ("examples", "enum"):
        if schema.get(given):
            return schema[given][0]
    for given in ("const", "example", "default"):
        if schema.get(given) is not None:
            return schema[given]
    kinds = schema.get("oneOf") or schema.get("anyOf")
    if kinds:
        return _drawn(next(k for k in kinds if k != {"type": "null"}), schemas, depth)
    return _of_type(schema, schemas, depth)


def _of_type(schema: Mapping[str, Any], schemas: Mapping[str, Any], depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next(one for one in kind if one != "null")
    match kind:
        case "object":
            wanted = set(schema.get("required", ()))
            return {
                name: _drawn(field, schemas, depth - 1)
                for name, field in schema.get("properties", {}).items()
                if name in wanted or field.get("examples")
            }
        case "array":
            return [_drawn(schema.get("items", {}), schemas, depth - 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "string":
            return OF_FORMAT.get(schema.get("format", ""), "text")
        case _:
            return {}


def _named(schema: Mapping[str, Any]) -> str | None:
    ref = schema.get("$ref")
    return str(ref).rsplit("/", 1)[-1] if ref else None
