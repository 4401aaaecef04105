"""The editor's document, and the difference of two documents as events."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

from msgspec import UNSET, UnsetType

from domain.flow.canvas import join, split
from domain.flow.events import (
    ABSENT,
    DocumentKeyChanged,
    EdgeConfigured,
    EdgeConnected,
    EdgeDisconnected,
    EdgesReordered,
    FlowEvent,
    Path,
    VertexAdded,
    VertexConfigured,
    VertexMoved,
    VertexRemoved,
    VerticesReordered,
)
from domain.flow.shape import (
    InvalidDocumentError,
    check,
    edge_keys,
    edges,
    has_webhook,
    is_drawn,
    same,
    vertices,
)
from domain.kernel import DomainError, Json

__all__ = [
    "DOCUMENT_EVENTS",
    "DocumentEvent",
    "EditDoesNotFitError",
    "InvalidDocumentError",
    "apply",
    "check",
    "difference",
    "has_webhook",
    "join",
    "split",
]

type DocumentEvent = (
    VertexAdded
    | VertexConfigured
    | VertexMoved
    | VertexRemoved
    | VerticesReordered
    | EdgeConnected
    | EdgeConfigured
    | EdgeDisconnected
    | EdgesReordered
    | DocumentKeyChanged
)
DOCUMENT_EVENTS = (
    VertexAdded,
    VertexConfigured,
    VertexMoved,
    VertexRemoved,
    VerticesReordered,
    EdgeConnected,
    EdgeConfigured,
    EdgeDisconnected,
    EdgesReordered,
    DocumentKeyChanged,
)
MAX_EVENTS = 1_000  # beyond it, a save is recorded as the whole document
_WORTH_SPLICING = 64
_WHOLE = ""
_POSITION: Path = ("position",)
_EMPTY: dict[str, Json] = {"nodes": [], "edges": []}

type _Change = tuple[Path, Json | UnsetType, Json | UnsetType, int | UnsetType]


class EditDoesNotFitError(DomainError):
    """The edit names something that the document does not hold."""


def difference(old: Json, new: Json) -> tuple[FlowEvent, ...]:
    """
    Say in events what turns *old* into *new*: none where they are equal.

    Both are checked documents without canvas state. More than a thousand events
    become one that carries the new document.
    """
    events = tuple(islice(_differences(old, new), MAX_EVENTS + 1))
    if len(events) <= MAX_EVENTS:
        return events
    return (_whole(old, new),)


def apply(document: Json, event: FlowEvent) -> Json:
    """
    Return the document as it stands after *event*; other events leave it alone.

    The old one is not touched, and whatever did not change is shared with it.
    """
    try:
        return _applied(document, event)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise EditDoesNotFitError(f"{type(event).__name__}: {error}") from error


def _whole(old: Json, new: Json) -> DocumentKeyChanged:
    # What was there before can be read from the version before; only say so briefly.
    before = UNSET if is_drawn(old) else old
    return DocumentKeyChanged(key=_WHOLE, before=before, after=new)


def _differences(old: Json, new: Json) -> Iterator[FlowEvent]:
    if not is_drawn(new):
        if not same(old, new):
            yield _whole(old, new)
        return
    if not is_drawn(old):
        yield _whole(old, _EMPTY)
        old = _EMPTY
    if not same(old.get(_WHOLE), new.get(_WHOLE)) or (_WHOLE in old) != (_WHOLE in new):
        yield _whole(old, new)
        return
    yield from _removals(old, new)
    yield from _vertex_changes(old, new)
    yield from _edge_changes(old, new)
    yield from _key_changes(old, new)


def _removals(old: Json, new: Json) -> Iterator[FlowEvent]:
    kept = set(edge_keys(edges(new)))
    # Backwards, so that the ordinals of repeated edges stay what they were.
    for key in reversed(edge_keys(edges(old))):
        if key not in kept:
            yield EdgeDisconnected(edge=key)
    kept = {vertex["id"] for vertex in vertices(new)}
    for vertex in vertices(old):
        if vertex["id"] not in kept:
            yield VertexRemoved(vertex=vertex["id"])


def _vertex_changes(old: Json, new: Json) -> Iterator[FlowEvent]:
    known = {vertex["id"]: vertex for vertex in vertices(old)}
    order = [vertex["id"] for vertex in vertices(new)]
    if moved := _reordered(list(known), order):
        yield VerticesReordered(order=moved)
    for index, vertex in enumerate(vertices(new)):
        name = vertex["id"]
        if name not in known:
            yield VertexAdded(vertex=vertex, index=index)
            continue
        for path, before, after, at in _changes(known[name], vertex, ()):
            yield (
                VertexConfigured(
                    vertex=name, path=path, before=before, after=after, at=at
                )
                if path != _POSITION or UNSET in (before, after)
                else VertexMoved(vertex=name, before=before, after=after)
            )


def _edge_changes(old: Json, new: Json) -> Iterator[FlowEvent]:
    known = dict(zip(edge_keys(edges(old)), edges(old), strict=True))
    order = edge_keys(edges(new))
    if moved := _reordered(list(known), order):
        yield EdgesReordered(order=moved)
    for index, (key, edge) in enumerate(zip(order, edges(new), strict=True)):
        if key not in known:
            yield EdgeConnected(edge=edge, index=index)
            continue
        for path, before, after, at in _changes(known[key], edge, ()):
            yield EdgeConfigured(edge=key, path=path, before=before, after=after, at=at)


def _key_changes(old: Json, new: Json) -> Iterator[FlowEvent]:
    for key in old | new:
        if key in _EMPTY:
            continue
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if UNSET in (before, after) or not same(before, after):
            yield DocumentKeyChanged(key=key, before=before, after=after)


def _reordered(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    surviving = set(old) & set(new)
    before = [name for name in old if name in surviving]
    after = [name for name in new if name in surviving]
    return tuple(after) if before != after else ()


def _changes(old: Json, new: Json, path: Path) -> Iterator[_Change]:
    if path == _POSITION:
        if not same(old, new):
            yield path, old, new, UNSET
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            yield from _changes_at(old, new, (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _changes(before, after, (*path, index))
    elif not same(old, new):
        yield (path, *_spliced(old, new))


def _changes_at(
    old: dict[str | int, Json], new: dict[str | int, Json], path: Path
) -> Iterator[_Change]:
    before, after = old.get(path[-1], ABSENT), new.get(path[-1], ABSENT)
    if before is UNSET or after is UNSET:
        yield path, before, after, UNSET
    else:
        yield from _changes(before, after, path)


def _spliced(old: Json, new: Json) -> tuple[Json, Json, int | UnsetType]:
    if not isinstance(old, str) or not isinstance(new, str):
        return old, new, UNSET
    shorter = min(len(old), len(new))
    start = _common(lambda n: old[:n] == new[:n], shorter)
    end = _common(lambda n: old[len(old) - n :] == new[len(new) - n :], shorter - start)
    if start + end < _WORTH_SPLICING:
        return old, new, UNSET
    return old[start : len(old) - end], new[start : len(new) - end], start


def _common(agree: Callable[[int], bool], most: int) -> int:
    # The longest common run, by halving: comparing slices is C, counting is not.
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if agree(middle):
            least = middle
        else:
            most = middle - 1
    return least


def _applied(document: Json, event: FlowEvent) -> Json:
    match event:
        case VertexAdded() | VertexConfigured() | VertexMoved() | VertexRemoved():
            nodes = list(vertices(document))
            _edit_vertices(nodes, event)
            return document | {"nodes": nodes}
        case VerticesReordered(order=order):
            nodes = vertices(document)
            names = [node["id"] for node in nodes]
            return document | {"nodes": _in_order(nodes, names, order)}
        case EdgeConnected() | EdgeConfigured() | EdgeDisconnected():
            drawn = list(edges(document))
            _edit_edges(drawn, event)
            return document | {"edges": drawn}
        case EdgesReordered(order=order):
            drawn = edges(document)
            return document | {"edges": _in_order(drawn, edge_keys(drawn), order)}
        case DocumentKeyChanged(key=key, after=after):
            return _with_key(document, key, after)
        case _:
            return document


def _with_key(document: Json, key: str, after: Json | UnsetType) -> Json:
    if key == _WHOLE:
        return after
    if after is UNSET:
        return {name: value for name, value in document.items() if name != key}
    return document | {key: after}


def _edit_vertices(
    nodes: list[dict[str, Any]],
    event: VertexAdded | VertexConfigured | VertexMoved | VertexRemoved,
) -> None:
    if isinstance(event, VertexAdded):
        nodes.insert(event.index, event.vertex)
        return
    at = [node["id"] for node in nodes].index(event.vertex)
    match event:
        case VertexRemoved():
            del nodes[at]
        case VertexMoved(after=after):
            nodes[at] = nodes[at] | {"position": after}
        case VertexConfigured():
            nodes[at] = _configured(nodes[at], event.path, event)


def _edit_edges(
    drawn: list[dict[str, Any]],
    event: EdgeConnected | EdgeConfigured | EdgeDisconnected,
) -> None:
    if isinstance(event, EdgeConnected):
        drawn.insert(event.index, event.edge)
        return
    at = edge_keys(drawn).index(event.edge)
    match event:
        case EdgeDisconnected():
            del drawn[at]
        case EdgeConfigured():
            drawn[at] = _configured(drawn[at], event.path, event)


def _configured(
    value: Json, path: Path, event: VertexConfigured | EdgeConfigured
) -> Json:
    step, rest = path[0], path[1:]
    copy: Json = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[step] = _configured(value[step], rest, event)
    elif event.after is UNSET:
        del copy[step]
    elif event.at is UNSET:
        copy[step] = event.after
    else:
        copy[step] = _unspliced(value[step], event)
    return copy


def _unspliced(text: str, event: VertexConfigured | EdgeConfigured) -> str:
    at, before, after = event.at, event.before, event.after
    if not isinstance(at, int) or not isinstance(before, str):
        raise TypeError("a splice without its place or its text")
    if not text.startswith(before, at):
        raise ValueError("the text is another")
    return f"{text[:at]}{after}{text[at + len(before) :]}"


def _in_order(
    items: Sequence[dict[str, Json]], names: Sequence[str], order: Sequence[str]
) -> list[dict[str, Json]]:
    known = dict(zip(names, items, strict=True))
    if set(order) != known.keys():
        raise KeyError("the order names other things than there are")
    return [known[name] for name in order]
