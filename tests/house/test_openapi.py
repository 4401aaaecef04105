"""The document that describes the API is whole and right."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from jsonschema_rs import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.openapi.document import described
from api.openapi.words import REFUSALS, TAGS
from tests.house.bare import bare_app

JSON = "application/json"
SUCCESS = ("200", "201", "202", "204")

OPAQUE: dict[str, str] = {
    "POST /api/mcp": "JSON-RPC, which MCP describes",
    "POST /api/mcp/project/{project_id}": "JSON-RPC, which MCP describes",
    "POST /api/mcp/project/{project_id}/streamable": "JSON-RPC, which MCP describes",
    "POST /api/mcp/streamable": "JSON-RPC, which MCP describes",
    "POST /api/v1/mcp": "JSON-RPC, which MCP describes",
    "POST /api/v1/mcp/project/{project_id}": "JSON-RPC, which MCP describes",
    "POST /api/v1/mcp/project/{project_id}/streamable": "JSON-RPC, which MCP describes",
    "POST /api/v1/mcp/streamable": "JSON-RPC, which MCP describes",
    "POST /api/v2/mcp/servers": "what its owner sent",
    "POST /api/v2/mcp/servers/{server_name}": "what its owner sent",
    "PATCH /api/v2/mcp/servers/{server_name}": "what its owner sent",
}
"""Routes whose answers have a shape that the document need not tell, and why."""

HELP = """
A route is not described well enough. It takes little:
- an answer: annotate the handler with a msgspec Struct (or a list of one); where it
  returns a `Response[Any]`, name the Struct and the media type by
  `responses={200: ResponseSpec(TheStruct, media_type=…)}` in the route's decorator;
- a tag that is new: a line in TAGS of src/api/openapi/words.py;
- a body whose drawn example does not fit: a line in WRITTEN of
  src/api/openapi/examples.py, or `Meta(examples=[…])` on the field;
- a status that the contract demands and no rule yields: `opt={"refuses": (500,)}`.
"""


class Operation(NamedTuple):
    """One method of one path as the document has it."""

    name: str
    told: dict[str, Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return described(bare_app())


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        Operation(f"{method.upper()} {path}", told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def told_of(found: list[Any]) -> str:
    """Return what to tell whoever added a route."""
    return f"{HELP}\nThese: {found}"


def test_the_document_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_has_a_name_of_its_own(operations: list[Operation]) -> None:
    names = [one.told["operationId"] for one in operations]

    assert len(names) > 70
    assert len(names) == len(set(names))
    assert all(name.replace("_", "").isalnum() for name in names)


def test_every_operation_says_what_it_does(operations: list[Operation]) -> None:
    silent = [one.name for one in operations if len(one.told["summary"]) < 8]
    strays = [
        one.name for one in operations if not set(one.told.get("tags", [""])) <= {*TAGS}
    ]

    assert not silent, f"these need a docstring: {silent}"
    assert not strays, told_of(strays)


def test_every_operation_says_who_may_ask(operations: list[Operation]) -> None:
    unsaid = [one.name for one in operations if "security" not in one.told]

    assert not unsaid


def test_every_answer_has_a_shape(operations: list[Operation]) -> None:
    opaque = {one.name for one in operations if _opaque(one.told)}

    assert opaque <= set(OPAQUE), told_of(sorted(opaque - set(OPAQUE)))
    assert set(OPAQUE) <= opaque, f"described now: {sorted(set(OPAQUE) - opaque)}"


def _opaque(told: dict[str, Any]) -> bool:
    successes = [a for status, a in told["responses"].items() if status in SUCCESS]
    assert successes, told
    media = [m for answer in successes for m in answer.get("content", {}).items()]
    return any(_shapeless(kind, m.get("schema", {})) for kind, m in media)


def _shapeless(kind: str, schema: dict[str, Any]) -> bool:
    if kind != JSON:
        return not schema
    items: dict[str, Any] = schema.get("items", schema)
    anything = items.get("additionalProperties") == {} and not items.get("properties")
    return not schema or schema == {"type": "string"} or anything


def test_every_operation_says_how_it_refuses(operations: list[Operation]) -> None:
    for one in operations:
        refusals = {int(s) for s in one.told["responses"] if int(s) >= 400}

        assert {429, 503} <= refusals, one.name
        if one.told["security"]:
            assert {401, 403} <= refusals, one.name
        assert "Validation Exception" not in str(one.told["responses"]), one.name


def test_every_body_has_an_example_that_fits(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    wrong = []
    for one in operations:
        for kind, media in one.told.get("requestBody", {}).get("content", {}).items():
            if kind == "multipart/form-data":
                continue
            examples = media.get("examples", {}) or [None]
            for name in examples:
                value = examples[name]["value"] if name else None
                wrong += [
                    (one.name, value, found.message)
                    for found in _violations(document, media["schema"], value)
                ]

    assert not wrong, told_of(wrong)


def test_every_example_of_an_answer_fits(
    document: dict[str, Any], operations: list[Operation]
) -> None:
    wrong = [
        (one.name, status, found.message)
        for one in operations
        for status, answer in one.told["responses"].items()
        for media in answer.get("content", {}).values()
        for example in media.get("examples", {}).values()
        for found in _violations(document, media["schema"], example["value"])
    ]

    assert not wrong, told_of(wrong)


def test_the_examples_of_refusals_fit(document: dict[str, Any]) -> None:
    assert set(document["components"]["responses"]) == {r[0] for r in REFUSALS.values()}
    for answer in document["components"]["responses"].values():
        media = answer["content"][JSON]
        assert not list(_violations(document, media["schema"], media["example"]))


def _violations(
    document: dict[str, Any], schema: dict[str, Any], value: Any
) -> Iterator[Any]:
    whole = {"$ref": "#/root", "root": schema, "components": document["components"]}
    yield from Draft202012Validator(whole).iter_errors(value)
