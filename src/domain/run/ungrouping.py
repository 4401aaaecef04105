"""Groups taken apart: a document's nodes and edges as a run sees them."""

from collections import deque
from collections.abc import Mapping

import msgspec

from domain.kernel import Json
from domain.run.refusals import BadEdgeError, BadVertexError

_HANDED = ("value", "load_from_db", "file_path")
_QUOTE = "œ"  # editors write handles as JSON with this for its quotes


class Node(msgspec.Struct, frozen=True):
    """A node and the ids of the groups it lies in, outermost first."""

    raw: dict[str, Json]
    within: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The node's id."""
        name: str = self.raw["id"]
        return name

    @property
    def component(self) -> dict[str, Json]:
        """The component object: ``data.node``."""
        return _object(_object(self.raw, "data"), "node")


class Wire(msgspec.Struct, frozen=True, kw_only=True):
    """An edge with its handles read."""

    source: str
    source_output: str
    output_types: tuple[str, ...]
    target: str
    target_field: str
    target_type: str | None
    input_types: tuple[str, ...] | None
    loops: bool


def ungrouped(document: Json) -> tuple[list[Node], list[Wire]]:
    """Return the nodes that can run, and the wires between them."""
    whole = document if isinstance(document, dict) else {}
    ahead = deque(_nodes(whole, ()))
    wires = _wires(whole)
    found: dict[str, Node] = {}
    while ahead:
        node = ahead.popleft()
        inside = _object(_object(node.component, "flow"), "data")
        if not inside:
            if node.id in found:
                raise BadVertexError(f"Two vertices have the id {node.id}")
            found[node.id] = node
            continue
        inner = _opened(node, inside)
        bound = _wires(inside)
        wires = [_redirected(wire, node, inner, bound) for wire in wires] + bound
        ahead.extendleft(reversed(inner))
    return list(found.values()), wires


def _nodes(document: Mapping[str, Json], within: tuple[str, ...]) -> list[Node]:
    found = []
    for raw in document.get("nodes") or ():
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str):
            raise BadVertexError(f"A vertex in {'.'.join(within) or 'it'} has no id")
        if raw.get("type") != "noteNode" and _object(raw, "data").get("type") != "note":
            found.append(Node(raw, within))
    return found


def _opened(group: Node, inside: Mapping[str, Json]) -> list[Node]:
    inner = {node.id: node for node in _nodes(inside, (*group.within, group.id))}
    if group.component.get("frozen"):
        inner = {name: _with(node, frozen=True) for name, node in inner.items()}
    for field in _object(group.component, "template").values():
        proxy = _object(field, "proxy")
        node = inner.get(str(proxy.get("id")))
        if node is not None:
            inner[node.id] = _with_field(node, str(proxy.get("field")), field)
    return list(inner.values())


def _with(node: Node, **changes: Json) -> Node:
    data = _object(node.raw, "data")
    return Node(
        node.raw | {"data": data | {"node": node.component | changes}}, node.within
    )


def _with_field(node: Node, name: str, given: Mapping[str, Json]) -> Node:
    template = _object(node.component, "template")
    own = template.get(name)
    if not isinstance(own, dict):
        return node
    handed = {
        key: given[key]
        for key in ("value", "load_from_db", "file_path")
        if key in given
    }
    return _with(node, template=template | {name: own | handed})


def _redirected(wire: Wire, group: Node, inner: list[Node], bound: list[Wire]) -> Wire:
    if wire.target == group.id:
        field = _object(_object(group.component, "template"), wire.target_field)
        proxy = _object(field, "proxy")
        if not proxy:
            raise BadEdgeError(
                f"Edge between {wire.source} and {wire.target} has invalid handles"
            )
        wire = msgspec.structs.replace(
            wire, target=str(proxy.get("id")), target_field=str(proxy.get("field"))
        )
    if wire.source == group.id:
        source, output = _source_in(group, wire.source_output, inner, bound)
        wire = msgspec.structs.replace(wire, source=source, source_output=output)
    return wire


def _source_in(
    group: Node, output: str, inner: list[Node], bound: list[Wire]
) -> tuple[str, str]:
    for one in group.component.get("outputs") or ():
        proxy = _object(one, "proxy")
        if proxy and one.get("name") == output:
            return str(proxy.get("id")), str(proxy.get("name"))
    name, _, rest = output.partition("_")
    if rest and any(node.id == name for node in inner):
        return name, rest
    sources = {wire.source for wire in bound}
    last = next((node.id for node in inner if node.id not in sources), group.id)
    return last, rest or output


def _wires(document: Mapping[str, Json]) -> list[Wire]:
    return [_wire(edge) for edge in document.get("edges") or ()]


def _wire(edge: Mapping[str, Json]) -> Wire:
    source, target = str(edge.get("source")), str(edge.get("target"))
    out, into = _handle(edge, "sourceHandle"), _handle(edge, "targetHandle")
    loops = "fieldName" not in into and isinstance(into.get("name"), str)
    field = into.get("name") if loops else into.get("fieldName")
    output = out.get("name")
    if not isinstance(output, str) or not isinstance(field, str):
        raise BadEdgeError(f"Edge between {source} and {target} has invalid handles")
    kind = into.get("type")
    return Wire(
        source=source,
        source_output=output,
        output_types=_texts(out.get("output_types")) or (),
        target=target,
        target_field=field,
        target_type=kind if isinstance(kind, str) else None,
        input_types=_texts(into.get("output_types" if loops else "inputTypes")),
        loops=loops,
    )


def _handle(edge: Mapping[str, Json], end: str) -> dict[str, Json]:
    handle = _object(edge, "data").get(end)
    if isinstance(handle, dict):
        return handle
    written = edge.get(end)
    try:
        read = msgspec.json.decode(str(written).replace(_QUOTE, '"'))
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return read if isinstance(read, dict) else {}


def _texts(value: Json) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(one for one in value if isinstance(one, str))


def _object(value: Json, key: str) -> dict[str, Json]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}
