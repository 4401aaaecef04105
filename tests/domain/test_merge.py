"""Two people edit one flow: different places merge, the same place is refused."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from domain.flow.document import apply, difference, split
from domain.flow.merge import EditConflictError, merge
from domain.flow.shape import same
from tests.domain.documents import chain, documents, edge, vertex

SLOW = HealthCheck.too_slow
BASE = chain("A", "B", "C")


def edited(document: Any, at: int, text: str, *, field: str = "input") -> Any:
    changed = copy.deepcopy(document)
    template = changed["nodes"][at]["data"]["node"]["template"]
    template[field] = template.get(field, {}) | {"value": text}
    return changed


def merged(base: Any, head: Any, new: Any) -> Any:
    for event in merge(base, head, new):
        head = apply(head, event)
    return head


@given(documents, documents)
@settings(max_examples=50, deadline=None, suppress_health_check=[SLOW])
def test_where_nobody_else_edited_a_merge_is_the_difference(
    base: Any, new: Any
) -> None:
    base, new = split(base)[0], split(new)[0]

    assert merge(base, base, new) == difference(base, new)
    assert merge(base, new, base) == ()
    assert merge(base, new, new) == ()


@given(documents, documents, documents)
@settings(max_examples=100, deadline=None, suppress_health_check=[SLOW])
def test_either_order_of_two_edits_comes_to_the_same(
    base: Any, one: Any, other: Any
) -> None:
    base, one, other = (split(document)[0] for document in (base, one, other))
    try:
        forth = merged(base, one, other)
    except EditConflictError:
        with pytest.raises(EditConflictError):
            merge(base, other, one)
        return
    back = merged(base, other, one)

    assert same(unordered(forth), unordered(back))


def unordered(document: Any) -> Any:
    if not isinstance(document, dict) or "nodes" not in document:
        return None
    return document | {
        "nodes": {node["id"]: node for node in document["nodes"]},
        "edges": sorted(document["edges"], key=repr),
    }


def test_edits_of_different_vertices_both_stand() -> None:
    mine, theirs = edited(BASE, 0, "mine"), edited(BASE, 1, "theirs")

    assert merged(BASE, theirs, mine) == edited(mine, 1, "theirs")


def test_edits_of_different_fields_of_a_vertex_both_stand() -> None:
    mine = edited(BASE, 0, "mine")
    theirs = edited(BASE, 0, "theirs", field="other")

    assert merged(BASE, theirs, mine) == edited(mine, 0, "theirs", field="other")


def test_edits_of_the_same_field_name_both_values() -> None:
    with pytest.raises(EditConflictError) as refused:
        merge(BASE, edited(BASE, 0, "theirs"), edited(BASE, 0, "mine"))

    [conflict] = refused.value.conflicts
    assert conflict.vertex == "A"
    assert conflict.path == ("data", "node", "template", "input", "value")
    assert (conflict.yours, conflict.theirs) == ("mine", "theirs")
    assert "A.data.node.template.input.value" in refused.value.sentence


def test_the_same_edit_twice_is_no_conflict() -> None:
    assert merge(BASE, edited(BASE, 0, "so"), edited(BASE, 0, "so")) == ()


def test_a_vertex_edited_here_and_removed_there_is_a_conflict() -> None:
    gone = {"nodes": BASE["nodes"][:2], "edges": BASE["edges"][:1]}

    with pytest.raises(EditConflictError):
        merge(BASE, gone, edited(BASE, 2, "mine"))
    with pytest.raises(EditConflictError):
        merge(BASE, edited(BASE, 2, "theirs"), gone)


def test_an_edge_to_a_vertex_that_somebody_removed_is_a_conflict() -> None:
    base = BASE | {"edges": []}
    joined = base | {"edges": [edge("A", "C")]}
    gone = base | {"nodes": base["nodes"][:2]}

    for head, new in ((joined, gone), (gone, joined)):
        with pytest.raises(EditConflictError) as refused:
            merge(base, head, new)
        assert refused.value.conflicts[0].vertex == "C"


def test_vertices_that_both_added_stand_where_each_put_them() -> None:
    mine = BASE | {"nodes": [*BASE["nodes"], vertex("M")]}
    theirs = BASE | {"nodes": [vertex("T"), *BASE["nodes"]]}

    order = [node["id"] for node in merged(BASE, theirs, mine)["nodes"]]

    assert order == ["T", "A", "B", "C", "M"]


def test_a_document_cleared_here_and_edited_there_is_a_conflict() -> None:
    with pytest.raises(EditConflictError):
        merge(BASE, None, edited(BASE, 0, "mine"))


def test_a_conflict_shows_no_secret() -> None:
    secret = {"$secret": "00000000-0000-0000-0000-000000000001"}
    theirs = copy.deepcopy(BASE)
    theirs["nodes"][0]["data"]["node"]["template"]["input"]["value"] = secret

    with pytest.raises(EditConflictError) as refused:
        merge(BASE, theirs, edited(BASE, 0, "mine"))

    assert refused.value.conflicts[0].theirs == "********"
