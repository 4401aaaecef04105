"""Whatever people draw is rebuilt from the log, and small edits stay small."""

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from domain.flow.document import (
    EditDoesNotFitError,
    InvalidDocumentError,
    apply,
    check,
    difference,
    join,
    split,
)
from domain.flow.events import (
    DocumentKeyChanged,
    EdgeConnected,
    EdgeDisconnected,
    FlowEvent,
    VertexAdded,
    VertexConfigured,
    VertexMoved,
    VertexRemoved,
    VerticesReordered,
)
from domain.flow.shape import edge_keys, same
from tests.domain.documents import FLOWS, NO_FLOWS, chain, documents, edge, real, vertex

SLOW = HealthCheck.too_slow
real_flows = [
    pytest.param(
        path, id=path.stem, marks=pytest.mark.skipif(not FLOWS, reason=NO_FLOWS)
    )
    for path in FLOWS or [Path("absent")]
]


def stored(event: FlowEvent) -> FlowEvent:
    return msgspec.json.decode(msgspec.json.encode(event), type=type(event))


def rebuilt(document: Any, *events: FlowEvent) -> Any:
    for event in events:
        document = apply(document, stored(event))
    return document


@given(st.lists(documents, min_size=2, max_size=5))
@settings(max_examples=120, deadline=None, suppress_health_check=[SLOW])
def test_any_sequence_of_documents_is_rebuilt_from_the_log(drawn: list[Any]) -> None:
    drawn = [split(document)[0] for document in drawn]
    log: list[FlowEvent] = [*difference(None, drawn[0])]
    for old, new in pairwise(drawn):
        log += difference(old, new)

    assert same(rebuilt(None, *log), drawn[-1])


@given(documents)
@settings(max_examples=60, deadline=None, suppress_health_check=[SLOW])
def test_a_save_that_changes_nothing_says_nothing(document: Any) -> None:
    assert difference(document, copy.deepcopy(document)) == ()


@given(documents)
@settings(max_examples=60, deadline=None, suppress_health_check=[SLOW])
def test_canvas_state_comes_off_and_goes_back_on(document: Any) -> None:
    check(document)
    rest, canvas = split(document)

    assert same(join(rest, canvas), document)
    assert split(rest) == (rest, {})


@given(documents, documents)
@settings(max_examples=60, deadline=None, suppress_health_check=[SLOW])
def test_an_edit_leaves_the_document_before_it_alone(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    rebuilt(old, *difference(old, new))

    assert same(old, before)


@pytest.mark.parametrize("path", real_flows)
def test_a_real_flow_is_rebuilt_from_the_log(path: Path) -> None:
    document = real(path)
    check(document)
    rest, canvas = split(document)

    assert join(rebuilt(None, *difference(None, rest)), canvas) == document


@pytest.mark.parametrize("path", real_flows)
def test_a_one_field_edit_of_a_real_flow_is_at_most_a_kilobyte(path: Path) -> None:
    old, _ = split(real(path))
    longest = 0
    for at, node in enumerate(old["nodes"]):
        for name, field in node["data"]["node"]["template"].items():
            if not isinstance(field, dict) or not isinstance(field.get("value"), str):
                continue
            new = copy.deepcopy(old)
            text = field["value"]
            half = len(text) // 2
            edited = f"{text[:half]} and a few words more{text[half:]}"
            new["nodes"][at]["data"]["node"]["template"][name]["value"] = edited
            events = difference(old, new)

            assert len(events) == 1
            assert same(rebuilt(old, *events), new)
            longest = max(longest, len(msgspec.json.encode(events[0])))
    assert 0 < longest <= 1024


def test_what_changed_is_said_in_the_words_of_the_editor() -> None:
    old = chain("A-1", "B-1")
    new = copy.deepcopy(old)
    new["nodes"][0]["data"]["node"]["template"]["input"]["value"] = "Hello"
    new["nodes"][1]["position"] = {"x": 1, "y": 2}
    moved = copy.deepcopy(new)
    moved["nodes"][1]["position"]["x"] = 5

    assert difference(old, new) == (
        VertexConfigured(
            vertex="A-1",
            path=("data", "node", "template", "input", "value"),
            before="",
            after="Hello",
        ),
        VertexConfigured(vertex="B-1", path=("position",), after={"x": 1, "y": 2}),
    )
    assert difference(new, moved) == (
        VertexMoved(vertex="B-1", before={"x": 1, "y": 2}, after={"x": 5, "y": 2}),
    )


def test_taking_a_vertex_away_disconnects_it_first() -> None:
    old = chain("A", "B", "C")
    new = {"nodes": [old["nodes"][0], old["nodes"][2]], "edges": []}

    assert difference(old, new) == (
        EdgeDisconnected(edge="B.out-C.input"),
        EdgeDisconnected(edge="A.out-B.input"),
        VertexRemoved(vertex="B"),
    )


def test_what_is_new_is_added_where_it_stands() -> None:
    old = {"nodes": [vertex("A"), vertex("B")], "edges": []}
    new = {"nodes": [vertex("B"), vertex("C"), vertex("A")], "edges": [edge("A", "B")]}

    assert difference(old, new) == (
        VerticesReordered(order=("B", "A")),
        VertexAdded(vertex=vertex("C"), index=1),
        EdgeConnected(edge=edge("A", "B"), index=0),
    )


def test_edges_that_share_an_id_are_told_apart() -> None:
    twins = [{"id": "e", "n": 1}, {"id": "e", "n": 2}, {"id": "e", "n": 3}]
    old = {"nodes": [], "edges": twins}
    new = {"nodes": [], "edges": [twins[0], {"id": "e", "n": 5}]}

    assert len(set(edge_keys(twins))) == 3
    assert same(rebuilt(old, *difference(old, new)), new)


def test_true_is_not_one() -> None:
    old, new = {"nodes": [], "edges": [], "a": 1}, {"nodes": [], "edges": [], "a": True}

    assert difference(old, new) == (DocumentKeyChanged(key="a", before=1, after=True),)


def test_a_number_written_otherwise_has_not_changed() -> None:
    old, new = {"nodes": [], "edges": [], "a": 1.0}, {"nodes": [], "edges": [], "a": 1}

    assert difference(old, new) == ()


def test_very_many_changes_are_one() -> None:
    old = {"nodes": [vertex(f"A-{n}") for n in range(1500)], "edges": []}
    new = {"nodes": [vertex(f"B-{n}") for n in range(1500)], "edges": []}

    assert difference(old, new) == (DocumentKeyChanged(key="", after=new),)


def test_an_edit_of_something_else_does_not_fit() -> None:
    for event in (
        VertexRemoved(vertex="Z"),
        VertexConfigured(vertex="A", path=("data", "none", "x"), after=1),
        VertexConfigured(vertex="A", path=("id",), before="B", after="C", at=0),
        EdgeDisconnected(edge="Z"),
        VerticesReordered(order=("A",)),
    ):
        with pytest.raises(EditDoesNotFitError):
            apply(chain("A", "B"), event)


def deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


EMPTY: dict[str, Any] = {"nodes": [], "edges": []}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "it is a list, not an object"),
        ({"nodes": []}, "Flow must have edges"),
        ({"edges": []}, "Flow must have nodes"),
        ({"nodes": {}, "edges": []}, "nodes is an object, not a list"),
        ({"nodes": [1], "edges": []}, r"nodes\[0\] is a number, not an object"),
        ({"nodes": [], "edges": ["x"]}, r"edges\[0\] is a text, not an object"),
        ({"nodes": [{}], "edges": []}, r"nodes\[0\] has no id"),
        ({"nodes": [{"id": 5}], "edges": []}, r"nodes\[0\].id is a number"),
        ({"nodes": [{"id": ""}], "edges": []}, r"nodes\[0\].id is empty"),
        ({"nodes": [{"id": "a\nb"}], "edges": []}, "control character"),
        ({"nodes": [{"id": "a" * 201}], "edges": []}, "201 characters; at most 200"),
        ({"nodes": [{"id": "a"}, {"id": "a"}], "edges": []}, r"nodes\[1\].id 'a' is"),
        ({"nodes": [], "edges": [{"id": 5}]}, r"edges\[0\].id is a number"),
        ({"nodes": [], "edges": [{"id": "\x1f"}]}, "control character"),
        (EMPTY | {"x": deep(250)}, r"deeper than 200 levels, at x\[0\]"),
        (EMPTY | {"x": deep(100_000)}, "deeper than 200 levels"),
        (EMPTY | {"x": float("nan")}, "x is not a finite number"),
        (EMPTY | {"x": {"y": 2**64}}, "x.y is an integer beyond 64 bits"),
        (EMPTY | {"x": object()}, "x is a object, not JSON"),
        (EMPTY | {"x": "\ud800"}, "not valid Unicode"),
        (EMPTY | {"x": "a" * 16_000_001}, "bytes; at most"),
        ({"nodes": [{}] * 10_001, "edges": []}, "nodes holds 10001; at most 10000"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_document_is_refused_with_its_place(
    document: Any, said: str
) -> None:
    with pytest.raises(InvalidDocumentError, match=said):
        check(document)


@pytest.mark.parametrize("document", [None, {}, EMPTY, EMPTY | {"x": deep(190)}])
def test_what_is_a_document_is_not_refused(document: Any) -> None:
    check(document)
    rest, canvas = split(document)

    assert same(join(rebuilt(None, *difference(None, rest)), canvas), document)
