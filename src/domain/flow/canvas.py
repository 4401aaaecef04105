"""Canvas state: how people last looked at a flow, kept apart from its history."""

from collections.abc import Sequence

from domain.flow.shape import edge_keys, is_drawn
from domain.kernel import Json

VERTEX_KEYS = (
    "selected",
    "dragging",
    "measured",
    "width",
    "height",
    "positionAbsolute",
)
EDGE_KEYS = ("selected",)


def split(document: Json) -> tuple[Json, dict[str, Json]]:
    """Part a checked document into what is history and what is canvas state."""
    if not is_drawn(document):
        return document, {}
    canvas: dict[str, Json] = {}
    rest = {key: value for key, value in document.items() if key != "viewport"}
    if "viewport" in document:
        canvas["viewport"] = document["viewport"]
    names = [node["id"] for node in document["nodes"]]
    rest["nodes"], seen = _parted(document["nodes"], names, VERTEX_KEYS)
    if seen:
        canvas["nodes"] = seen
    keys = edge_keys(document["edges"])
    rest["edges"], seen = _parted(document["edges"], keys, EDGE_KEYS)
    if seen:
        canvas["edges"] = seen
    return rest, canvas


def join(document: Json, canvas: dict[str, Json]) -> Json:
    """Put canvas state back on a document; what it no longer holds is passed over."""
    if not is_drawn(document):
        return document
    joined = dict(document)
    if "viewport" in canvas:
        joined["viewport"] = canvas["viewport"]
    seen = canvas.get("nodes", {})
    joined["nodes"] = [node | seen.get(node["id"], {}) for node in document["nodes"]]
    seen = canvas.get("edges", {})
    joined["edges"] = [
        edge | seen.get(key, {})
        for edge, key in zip(
            document["edges"], edge_keys(document["edges"]), strict=True
        )
    ]
    return joined


def _parted(
    items: Sequence[dict[str, Json]], names: Sequence[str], keys: Sequence[str]
) -> tuple[list[dict[str, Json]], dict[str, Json]]:
    rest, seen = [], {}
    for item, name in zip(items, names, strict=True):
        rest.append({key: value for key, value in item.items() if key not in keys})
        state = {key: item[key] for key in keys if key in item}
        if state:
            seen[name] = state
    return rest, seen
