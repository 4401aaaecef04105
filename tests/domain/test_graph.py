"""What a run makes of a drawn document: vertices, edges, and groups taken apart."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.run.graph import (
    BadEdgeError,
    BadVertexError,
    EdgeInfo,
    Graph,
    TwoChatInputsError,
    UnknownVertexError,
)
from domain.run.schedule import plan
from tests.domain.documents import FLOWS, NO_FLOWS, chain, edge, real, vertex

absent = pytest.mark.skipif(not FLOWS, reason=NO_FLOWS)


@pytest.mark.parametrize(
    "path",
    [pytest.param(p, id=p.stem, marks=absent) for p in FLOWS or [Path("none")]],
)
def test_every_real_flow_can_be_carried_out(path: Path) -> None:
    document = real(path)
    graph = Graph.of(document)

    notes = [node for node in document["nodes"] if node["type"] == "noteNode"]
    assert len(graph.vertices) == len(document["nodes"]) - len(notes)
    assert len(graph.edges) == len(document["edges"])
    assert set(plan(graph).to_run) == set(graph.vertices)


def test_vertices_are_known_by_their_ids() -> None:
    graph = Graph.of(chain("ChatInput-1", "TextOutput-1", "Any-1"))
    first, second, third = graph.vertices.values()

    assert (first.is_input, first.is_output) == (True, False)
    assert (second.is_input, second.is_output) == (False, True)
    assert (third.is_input, third.is_output) == (False, False)
    assert graph.chat_input == "ChatInput-1"
    assert graph.named("Any") == graph.named("Any-1") == [third]
    assert graph.reads("Any-1") == ("TextOutput-1",)


def test_only_wired_outputs_are_wanted_or_else_all() -> None:
    document = chain("A-1", "B-1")
    document["nodes"][0]["data"]["node"]["outputs"].append({"name": "other"})
    graph = Graph.of(document)

    assert graph.wanted("A-1") == ("out",)
    assert graph.wanted("B-1") == ("out",)


def test_notes_do_not_run() -> None:
    note = {"id": "n", "type": "noteNode", "data": {"type": "note", "node": {}}}
    nodes = [note, {"id": "m", "data": {"type": "note"}}, vertex("A-1")]

    assert set(Graph.of({"nodes": nodes, "edges": []}).vertices) == {"A-1"}


def test_a_vertex_may_be_anything_until_it_is_built() -> None:
    graph = Graph.of({"nodes": [{"id": "Odd-1"}, {"id": "b", "data": 5}], "edges": []})

    assert graph.vertices["Odd-1"].type == "Odd"
    assert graph.vertices["b"].outputs == ()


def test_handles_are_read_from_their_written_form_too() -> None:
    document = chain("A-1", "B-1")
    drawn = document["edges"][0]
    for end, handle in drawn.pop("data").items():
        drawn[end] = json.dumps(handle).replace('"', "œ")

    assert Graph.of(document).edges == (
        EdgeInfo(source="A-1", source_output="out", target="B-1", target_field="input"),
    )


def broken(**changes: Any) -> dict[str, Any]:
    document = chain("A-1", "B-1")
    document["edges"] = [edge("A-1", "B-1") | changes]
    return document


def handles(source: Any = None, target: Any = None) -> dict[str, Any]:
    data = edge("A-1", "B-1")["data"]
    return {
        "data": {
            "sourceHandle": data["sourceHandle"] | (source or {}),
            "targetHandle": data["targetHandle"] | (target or {}),
        }
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (broken(source="Z-1"), "Source vertex Z-1 not found"),
        (broken(target="Z-1"), "Target vertex Z-1 not found"),
        (broken(data=None), "Edge between A-1 and B-1 has invalid handles"),
        (broken(data={}, sourceHandle="[", targetHandle="[]"), "invalid handles"),
        (
            broken(**handles(target={"inputTypes": ["Data"]})),
            "Edge between A and B has invalid handles",
        ),
        (
            broken(**handles(target={"inputTypes": None, "type": "Data"})),
            "Edge between A and B has invalid handles",
        ),
        (
            broken(**handles(source={"name": "nothing"})),
            "Edge between A and B has no matched type.",
        ),
    ],
)
def test_an_edge_that_joins_what_does_not_fit_is_refused(
    document: Any, said: str
) -> None:
    with pytest.raises(BadEdgeError) as refused:
        Graph.of(document)

    assert said in refused.value.text


def test_there_is_one_way_into_the_chat() -> None:
    nodes = [vertex("ChatInput-1"), vertex("ChatInput-2")]

    with pytest.raises(TwoChatInputsError) as refused:
        Graph.of({"nodes": nodes, "edges": []})
    assert refused.value.text == "Only one chat input is allowed in the graph"


def test_an_unknown_vertex_is_not_found() -> None:
    with pytest.raises(UnknownVertexError, match="Vertex Z-1 not found"):
        Graph.of(None).vertex("Z-1")


def group(inside: dict[str, Any], **proxies: tuple[str, str]) -> dict[str, Any]:
    drawn = vertex("Group-1")
    node = drawn["data"]["node"]
    node["flow"] = {"data": inside}
    node["frozen"] = True
    node["template"] = {
        name: {
            "type": "str",
            "input_types": ["Message"],
            "value": "given",
            "proxy": {"id": inner, "field": field},
        }
        for name, (inner, field) in proxies.items()
    }
    node["outputs"] = []
    return drawn


def test_a_group_is_taken_apart() -> None:
    inside = chain("In-1", "Out-1")
    document = {
        "nodes": [
            vertex("A-1"),
            group(inside, input_In=("In-1", "input")),
            vertex("B-1"),
        ],
        "edges": [
            edge("A-1", "Group-1", field="input_In"),
            edge("Group-1", "B-1", output="Out-1_out"),
        ],
    }
    graph = Graph.of(document)

    assert list(graph.vertices) == ["A-1", "In-1", "Out-1", "B-1"]
    assert {
        (e.source, e.source_output, e.target, e.target_field) for e in graph.edges
    } == {
        ("A-1", "out", "In-1", "input"),
        ("In-1", "out", "Out-1", "input"),
        ("Out-1", "out", "B-1", "input"),
    }
    inner = graph.vertices["In-1"]
    assert (inner.parent, inner.top_level, inner.frozen) == ("Group-1", "Group-1", True)
    assert inner.template["input"]["value"] == "given"
    assert set(plan(graph).to_run) == {*graph.vertices, "Group-1"}
    assert set(plan(graph, stop="Group-1").to_run) == {
        "A-1",
        "In-1",
        "Out-1",
        "Group-1",
    }


def test_groups_within_groups_are_taken_apart() -> None:
    inner = group(chain("In-1", "Out-1"), input_In=("In-1", "input"))
    inner["id"] = "Inner-1"
    outer = group(
        {"nodes": [inner], "edges": []}, input_In_Inner=("Inner-1", "input_In")
    )
    document = {
        "nodes": [outer, vertex("A-1")],
        "edges": [edge("A-1", "Group-1", field="input_In_Inner")],
    }
    graph = Graph.of(document)

    assert graph.reads("In-1") == ("A-1",)
    assert graph.vertices["In-1"].within == ("Group-1", "Inner-1")
    assert graph.vertices["In-1"].template["input"]["value"] == "given"


def test_two_vertices_of_one_id_in_groups_are_refused() -> None:
    document = {"nodes": [vertex("A-1"), group(chain("A-1"))], "edges": []}

    with pytest.raises(BadVertexError, match="Two vertices have the id A-1"):
        Graph.of(document)
