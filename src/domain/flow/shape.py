"""The shape of a flow's document: vertices and edges that can be told apart."""

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

from domain.kernel import DomainError, Json

MAX_VERTICES = 10_000
MAX_EDGES = 50_000
MAX_DEPTH = 200
MAX_BYTES = 16_000_000
MAX_VERTEX_ID = 200
MAX_EDGE_ID = 8_000  # editors write both handles into it

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_ORDINAL = "\x1f"  # no id may hold it, so a key that does names a repeated edge
_INTEGERS = range(-(2**63), 2**64)

type _Trail = tuple[_Trail, str | int] | None


class InvalidDocumentError(DomainError):
    """The flow's document cannot be read as one."""


def check(document: Json) -> None:
    """Refuse what is not a document: ``None``, ``{}``, or nodes and edges."""
    _check_values(document)
    if document is None or document == {}:
        return
    if not isinstance(document, dict):
        raise InvalidDocumentError(f"it is {_kind(document)}, not an object")
    for part in ("nodes", "edges"):
        if part not in document:
            raise InvalidDocumentError(f"Flow must have {part}")
    _check_vertices(document["nodes"])
    _check_edges(document["edges"])
    _check_size(document)


def is_drawn(document: Json) -> bool:
    """Tell whether a checked document has vertices and edges at all."""
    return isinstance(document, dict) and "nodes" in document


def vertices(document: Json) -> list[dict[str, Json]]:
    """Return the nodes of a checked document, in order."""
    return document["nodes"] if is_drawn(document) else []


def edges(document: Json) -> list[dict[str, Json]]:
    """Return the edges of a checked document, in order."""
    return document["edges"] if is_drawn(document) else []


def has_webhook(document: Json) -> bool:
    """Tell whether the document can be started by a webhook."""
    return any("Webhook" in vertex["id"] for vertex in vertices(document))


def edge_name(edge: dict[str, Json]) -> str:
    """Return what identifies an edge: its id, or what it joins."""
    name = edge.get("id")
    if isinstance(name, str):
        return name
    ends = [edge.get(e) for e in ("source", "sourceHandle", "target", "targetHandle")]
    return msgspec.json.encode(ends).decode()


def edge_keys(drawn: Sequence[dict[str, Json]]) -> list[str]:
    """Return one key an edge, in order; a repeated name gets an ordinal."""
    seen: dict[str, int] = {}
    keys = []
    for edge in drawn:
        name = edge_name(edge)
        nth = seen.get(name, 0)
        seen[name] = nth + 1
        keys.append(f"{name}{_ORDINAL}{nth}" if nth else name)
    return keys


def same(one: Json, other: Json) -> bool:
    """Tell whether two JSON values are equal; unlike Python, ``true`` is not 1."""
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and one.keys() == other.keys()
            and all(same(value, other[key]) for key, value in one.items())
        )
    if isinstance(one, list):
        return (
            isinstance(other, list)
            and len(one) == len(other)
            and all(map(same, one, other))
        )
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _check_vertices(nodes: Json) -> None:
    _check_objects(nodes, "nodes", limit=MAX_VERTICES)
    seen: set[str] = set()
    for index, node in enumerate(nodes):
        if "id" not in node:
            raise InvalidDocumentError(f"nodes[{index}] has no id")
        _check_id(node["id"], f"nodes[{index}].id", limit=MAX_VERTEX_ID)
        if node["id"] in seen:
            raise InvalidDocumentError(
                f"nodes[{index}].id {node['id']!r} is another node's too"
            )
        seen.add(node["id"])


def _check_edges(drawn: Json) -> None:
    _check_objects(drawn, "edges", limit=MAX_EDGES)
    for index, edge in enumerate(drawn):
        if edge.get("id") is not None:
            _check_id(edge["id"], f"edges[{index}].id", limit=MAX_EDGE_ID)


def _check_objects(items: Json, where: str, *, limit: int) -> None:
    if not isinstance(items, list):
        raise InvalidDocumentError(f"{where} is {_kind(items)}, not a list")
    if len(items) > limit:
        raise InvalidDocumentError(f"{where} holds {len(items)}; at most {limit}")
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidDocumentError(
                f"{where}[{index}] is {_kind(item)}, not an object"
            )


def _check_id(name: Json, where: str, *, limit: int) -> None:
    if not isinstance(name, str):
        raise InvalidDocumentError(f"{where} is {_kind(name)}, not a text")
    if not name:
        raise InvalidDocumentError(f"{where} is empty")
    if len(name) > limit:
        raise InvalidDocumentError(
            f"{where} has {len(name)} characters; at most {limit}"
        )
    if _CONTROL.search(name):
        raise InvalidDocumentError(f"{where} {name!r} holds a control character")


def _check_size(document: Json) -> None:
    try:
        size = len(msgspec.json.encode(document))
    except UnicodeEncodeError as error:
        raise InvalidDocumentError("a text in it is not valid Unicode") from error
    if size > MAX_BYTES:
        raise InvalidDocumentError(f"it has {size} bytes; at most {MAX_BYTES}")


def _check_values(document: Json) -> None:
    # By levels and not by recursion: hostile depth must cost nothing.
    level: list[tuple[Json, _Trail]] = [(document, None)]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [inner for value, trail in level for inner in _inside(value, trail)]
    if level:
        raise InvalidDocumentError(
            f"it is nested deeper than {MAX_DEPTH} levels, at {_place(level[0][1])}"
        )


def _inside(value: Json, trail: _Trail) -> Iterator[tuple[Json, _Trail]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise InvalidDocumentError(f"{_place(trail)} has a key that is no text")
            yield inner, (trail, key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield inner, (trail, index)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidDocumentError(f"{_place(trail)} is not a finite number")
    elif isinstance(value, int) and value not in _INTEGERS:
        raise InvalidDocumentError(f"{_place(trail)} is an integer beyond 64 bits")
    elif value is not None and not isinstance(value, str | float | int):
        raise InvalidDocumentError(f"{_place(trail)} is {_kind(value)}, not JSON")


def _place(trail: _Trail) -> str:
    steps: list[str] = []
    while trail is not None:
        trail, step = trail
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    if not steps:
        return "the top"
    shown = steps[:-9:-1]  # the outermost eight
    return "".join(shown).lstrip(".") + ("…" if len(steps) > len(shown) else "")


def _kind(value: Json) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), f"a {type(value).__name__}")
