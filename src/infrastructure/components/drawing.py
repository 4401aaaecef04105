"""Flow documents drawn from the registry, as the editor would write them."""

import json
from collections.abc import Mapping

from application.ports.components import Components
from domain.kernel import Json

_QUOTE = "œ"


class Drawing:
    """A flow document in the making."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self._nodes: dict[str, dict[str, Json]] = {}
        self._edges: list[dict[str, Json]] = []

    def place(
        self, vertex: str, type_name: str, at: tuple[int, int], **values: Json
    ) -> str:
        """Put a component down and set its fields, in order; return its id."""
        component = self._components.of(type_name)
        node = component.schema()
        for field, value in values.items():
            node = component.updated(node, field, value)
        data = {"id": vertex, "type": component.type, "node": node, "showNode": True}
        if len(node["outputs"]) > 1:
            data["selected_output"] = node["outputs"][0]["name"]
        self._nodes[vertex] = _shape(vertex, "genericNode", at, data, (320, 240))
        return vertex

    def note(self, vertex: str, text: str, at: tuple[int, int]) -> None:
        """Stick a note on the canvas; runs do not see it."""
        node = {
            "description": text,
            "display_name": "",
            "documentation": "",
            "template": {"backgroundColor": "neutral"},
        }
        data = {"id": vertex, "type": "note", "node": node}
        self._nodes[vertex] = _shape(vertex, "noteNode", at, data, (360, 240))

    def connect(self, source: str, output: str, target: str, field: str) -> None:
        """Draw an edge from an outlet to an inlet."""
        outlet = next(
            known for known in self._node(source)["outputs"] if known["name"] == output
        )
        inlet = self._node(target)["template"][field]
        source_handle = {
            "dataType": self._nodes[source]["data"]["type"],
            "id": source,
            "name": output,
            "output_types": outlet["types"],
        }
        target_handle = {
            "fieldName": field,
            "id": target,
            "inputTypes": inlet.get("input_types"),
            "type": inlet["type"],
        }
        self._edges.append(_edge(source, source_handle, target, target_handle))

    def document(self) -> dict[str, Json]:
        """Return the document: nodes, edges, and where the canvas looks."""
        return {
            "nodes": list(self._nodes.values()),
            "edges": self._edges,
            "viewport": {"x": 40, "y": 80, "zoom": 0.75},
        }

    def _node(self, vertex: str) -> dict[str, Json]:
        node: dict[str, Json] = self._nodes[vertex]["data"]["node"]
        return node


def handle_text(handle: Mapping[str, Json]) -> str:
    """*handle* as the editor compares it: sorted keys, no spaces, ``œ`` for quotes."""
    text = json.dumps(handle, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace('"', _QUOTE)


def _edge(
    source: str,
    source_handle: dict[str, Json],
    target: str,
    target_handle: dict[str, Json],
) -> dict[str, Json]:
    leaves, arrives = handle_text(source_handle), handle_text(target_handle)
    return {
        "id": f"xy-edge__{source}{leaves}-{target}{arrives}",
        "source": source,
        "sourceHandle": leaves,
        "target": target,
        "targetHandle": arrives,
        "data": {"sourceHandle": source_handle, "targetHandle": target_handle},
        "animated": False,
        "className": "",
        "selected": False,
    }


def _shape(
    vertex: str,
    kind: str,
    at: tuple[int, int],
    data: dict[str, Json],
    size: tuple[int, int],
) -> dict[str, Json]:
    return {
        "id": vertex,
        "type": kind,
        "position": {"x": at[0], "y": at[1]},
        "data": data,
        "measured": {"width": size[0], "height": size[1]},
        "selected": False,
        "dragging": False,
    }
