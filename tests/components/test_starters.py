"""Starter flows are drawn as the editor draws, and run without a key."""

import json
from typing import Any

import pytest

from api.world.people import to_begin_with
from domain.flow.document import check
from domain.run.graph import Graph
from domain.run.values import Message, Value
from infrastructure.components.drawing import handle_text
from infrastructure.components.registry import BuiltinComponents
from infrastructure.components.starters import starter_flows
from infrastructure.settings import load
from tests.components.calls import Call

COMPONENTS = BuiltinComponents()
STARTERS = {flow["name"]: flow for flow in starter_flows()}


@pytest.fixture(params=STARTERS)
def flow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return STARTERS[request.param]


def vertices(flow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nodes = flow["data"]["nodes"]
    return {node["id"]: node for node in nodes if node["type"] == "genericNode"}


def test_there_is_one_for_each_first_step() -> None:
    kinds = [
        {vertex["data"]["type"] for vertex in vertices(flow).values()}
        for flow in STARTERS.values()
    ]
    assert "LanguageModelComponent" not in kinds[0]
    assert "Memory" in kinds[1]
    assert "LanguageModelComponent" in kinds[2]


def test_a_starter_is_json_with_a_note_and_its_words(flow: dict[str, Any]) -> None:
    assert json.loads(json.dumps(flow)) == flow
    assert set(flow) == {"name", "description", "icon", "tags", "gradient", "data"}
    assert [node for node in flow["data"]["nodes"] if node["type"] == "noteNode"]
    ids = [node["id"] for node in flow["data"]["nodes"]]
    assert len(ids) == len(set(ids))


def test_the_domain_takes_a_starter(flow: dict[str, Any]) -> None:
    check(flow["data"])
    graph = Graph.of(flow["data"])
    assert set(graph.vertices) == set(vertices(flow))
    assert len(graph.edges) == len(flow["data"]["edges"])


def test_an_edge_is_what_the_editor_would_compute(flow: dict[str, Any]) -> None:
    nodes = vertices(flow)
    for edge in flow["data"]["edges"]:
        source, target = nodes[edge["source"]]["data"], nodes[edge["target"]]["data"]
        leaves, arrives = edge["data"]["sourceHandle"], edge["data"]["targetHandle"]
        assert edge["sourceHandle"] == handle_text(leaves)
        assert edge["targetHandle"] == handle_text(arrives)
        field = target["node"]["template"][arrives["fieldName"]]
        outputs = {output["name"]: output for output in source["node"]["outputs"]}
        assert leaves["dataType"] == source["type"]
        assert leaves["output_types"] == outputs[leaves["name"]]["types"]
        assert arrives["inputTypes"] == field["input_types"]
        assert arrives["type"] == field["type"]
        assert set(leaves["output_types"]) & set(arrives["inputTypes"])


def test_a_handle_is_written_like_langbuilders() -> None:
    handle = {"name": "message", "id": "A-1", "dataType": "A", "output_types": ["é"]}
    expected = '{"dataType":"A","id":"A-1","name":"message","output_types":["é"]}'
    assert handle_text(handle) == expected.replace('"', "œ")


async def test_a_starter_answers_without_a_key(flow: dict[str, Any]) -> None:
    before = Message(text="Hi, I am Ann", sender_name="User", session_id="session")
    answer = await run(flow, "What do you know?", before)
    assert "What do you know?" in answer.text
    if flow["name"] == "Chat with a Memory":
        assert "User: Hi, I am Ann" in answer.text


async def run(flow: dict[str, Any], said: str, before: Message) -> Message:
    """Carry the vertices out in an order in which every input is there."""
    results: dict[tuple[str, str], Value] = {}
    waiting = dict(vertices(flow))
    answer: Value = None
    while waiting:
        vertex = next(v for v in waiting if all_there(flow, v, results))
        node = waiting.pop(vertex)["data"]
        call = Call(
            fields=values(flow, vertex, node, results, said),
            wanted=[output["name"] for output in node["node"]["outputs"]][:1],
            node=node["node"],
            said_before=[before],
        )
        built = await COMPONENTS.of(node["type"]).build(call)
        results |= {(vertex, name): value for name, value in built.items()}
        answer = next(iter(built.values()))
    assert isinstance(answer, Message)
    return answer


def arriving(flow: dict[str, Any], vertex: str) -> dict[str, tuple[str, str]]:
    return {
        edge["data"]["targetHandle"]["fieldName"]: (
            edge["source"],
            edge["data"]["sourceHandle"]["name"],
        )
        for edge in flow["data"]["edges"]
        if edge["target"] == vertex
    }


def all_there(flow: dict[str, Any], vertex: str, results: dict[Any, Value]) -> bool:
    return all(source in results for source in arriving(flow, vertex).values())


def values(
    flow: dict[str, Any],
    vertex: str,
    node: dict[str, Any],
    results: dict[tuple[str, str], Value],
    said: str,
) -> dict[str, Value]:
    given = {
        name: field["value"]
        for name, field in node["node"]["template"].items()
        if isinstance(field, dict) and field["show"] and field["value"] != ""
    }
    if node["type"] == "ChatInput":
        given["input_value"] = said
    for field, source in arriving(flow, vertex).items():
        given[field] = results[source]
    return given


def test_whoever_joins_is_given_the_starters_unless_the_operator_says_no() -> None:
    starters = starter_flows()
    no = load({"LANGBUILDER_CREATE_STARTER_PROJECTS": "false"}, env_file=None)

    given = to_begin_with(load({}, env_file=None), starters)

    assert {flow.name for flow in given} == set(STARTERS)
    assert to_begin_with(no, starters) == []
