"""Documents to test with: made up ones of every shape, and real ones."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

SHARED = Path(__file__).parents[2] / ".." / "shared"
FLOWS = sorted((SHARED / "flows").glob("*.json"))
NO_FLOWS = f"{(SHARED / 'flows').name} beside the repository holds no flows"

numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(
    allow_nan=False, allow_infinity=False
)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=6,
)
ids = st.sampled_from("ABCDEF")
fields = st.dictionaries(st.sampled_from(["x", "y", "prompt"]), values, max_size=3)


@st.composite
def vertices(draw: st.DrawFn) -> dict[str, Any]:
    vertex = {"id": draw(ids), "data": draw(fields)}
    optional = {
        "position": st.fixed_dictionaries({"x": numbers, "y": numbers}) | values,
        "selected": st.booleans(),
        "width": numbers,
        "positionAbsolute": st.none() | fields,
        "unknown": values,
    }
    return vertex | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def edges(draw: st.DrawFn) -> dict[str, Any]:
    edge = {"source": draw(ids), "target": draw(ids)}
    optional = {
        "id": st.none() | st.sampled_from(["e1", "e2"]),
        "sourceHandle": st.sampled_from(["h1", "h2"]),
        "selected": st.booleans(),
        "data": fields,
    }
    return edge | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def drawn(draw: st.DrawFn) -> dict[str, Any]:
    document = {
        "nodes": draw(st.lists(vertices(), max_size=5, unique_by=lambda v: v["id"])),
        "edges": draw(st.lists(edges(), max_size=5)),
    }
    others = st.sampled_from(["viewport", "", "more"])
    return draw(st.dictionaries(others, values, max_size=2)) | document


documents: st.SearchStrategy[Any] = st.none() | st.just({}) | drawn()


def real(path: Path) -> dict[str, Any]:
    """Return the document of a flow as LangBuilder exports it."""
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))["data"]
    return document


def component(kind: str = "Any", **fields_of: Any) -> dict[str, Any]:
    """Return a node's ``data`` with a component whose fields hold values."""
    template = {
        name: value
        if isinstance(value, dict)
        else {"type": "str", "input_types": ["Message"], "value": value}
        for name, value in ({"input": ""} | fields_of).items()
    }
    node = {
        "display_name": kind,
        "template": template,
        "outputs": [{"name": "out", "types": ["Message"]}],
    }
    return {"type": kind, "node": node}


def vertex(name: str, **changes: Any) -> dict[str, Any]:
    """Return a node that runs."""
    return {"id": name, "data": component(name.rsplit("-", 1)[0])} | changes


def edge(
    source: str, target: str, *, output: str = "out", field: str = "input"
) -> dict[str, Any]:
    """Return an edge between two nodes of `vertex`."""
    return {
        "id": f"{source}.{output}-{target}.{field}",
        "source": source,
        "target": target,
        "data": {
            "sourceHandle": {"id": source, "name": output, "output_types": ["Message"]},
            "targetHandle": {
                "id": target,
                "fieldName": field,
                "inputTypes": ["Message"],
                "type": "str",
            },
        },
    }


def loop_back(source: str, target: str) -> dict[str, Any]:
    """Return an edge that feeds a loop's outlet."""
    back = edge(source, target)
    handle = {"id": target, "name": "item", "output_types": ["Message"]}
    return back | {"data": back["data"] | {"targetHandle": handle}}


def chain(*names: str) -> dict[str, Any]:
    """Return a document whose vertices feed each other in a row."""
    return {
        "nodes": [vertex(name) for name in names],
        "edges": [edge(*pair) for pair in pairwise(names)],
    }
