"""Two people's edits of one document, made into one where they do not collide."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from domain.flow.document import difference
from domain.flow.events import FlowEvent, Path
from domain.flow.secrets import without_refs
from domain.flow.shape import edge_keys, edges, is_drawn, same, vertices
from domain.kernel import DomainError, Json

_EMPTY: Final[dict[str, Json]] = {"nodes": [], "edges": []}
_PARTS = ("nodes", "edges")

type Maybe = Json | UnsetType


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """
    A place that both changed, each otherwise.

    ``vertex`` is the vertex or edge it lies in, if any, and ``path`` leads on from
    there. A side that removed the place is absent; secrets show as placeholders.
    """

    vertex: str | None
    path: Path
    yours: Json | UnsetType = UNSET
    theirs: Json | UnsetType = UNSET


class EditConflictError(DomainError):
    """Somebody else changed the same place in the meantime."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__(", ".join(_named(one) for one in conflicts[:5]))
        self.conflicts = list(conflicts)


def merge(base: Json, head: Json, new: Json) -> tuple[FlowEvent, ...]:
    """
    Say in events what *new* changed of *base*, to be appended to *head*.

    All are checked documents without canvas state. Edits of different places both
    stand; raise `EditConflictError` where both sides changed the same one.
    """
    if same(base, head) or same(head, new):
        return difference(head, new)
    if same(base, new):
        return ()
    if is_drawn(head) != is_drawn(new):
        # One side has drawn or cleared what the other knows nothing of.
        raise EditConflictError([_conflict(None, (), yours=new, theirs=head)])
    if not is_drawn(head):
        return ()  # both cleared it, and either way of being empty will do
    return difference(head, _Merging(base if is_drawn(base) else _EMPTY).of(head, new))


class _Merging:
    def __init__(self, base: Json) -> None:
        self._base = base
        self._conflicts: list[Conflict] = []

    def of(self, head: Json, new: Json) -> Json:
        base = self._base
        merged = self._object(_rest(base), _rest(head), _rest(new), None, ())
        sides = [_by_id(one) for one in (base, head, new)]
        nodes = self._items(*sides)
        drawn = [_by_key(one) for one in (base, head, new)]
        joined = self._items(*drawn)
        self._check_ends(joined, nodes, base=drawn[0], vertices_before=sides[0])
        if self._conflicts:
            raise EditConflictError(self._conflicts)
        merged["nodes"] = _ordered(nodes, *(list(side) for side in sides))
        merged["edges"] = _ordered(joined, *(list(side) for side in drawn))
        return merged

    def _items(
        self,
        base: Mapping[str, Json],
        head: Mapping[str, Json],
        new: Mapping[str, Json],
    ) -> dict[str, Json]:
        return self._each(base, head, new, lambda name: (name, ()))

    def _value(
        self, base: Maybe, head: Maybe, new: Maybe, vertex: str | None, path: Path
    ) -> Maybe:
        if _equal(base, head) or _equal(head, new):
            return new
        if _equal(base, new):
            return head
        if (
            path != ("position",)
            and isinstance(base, dict)
            and isinstance(head, dict)
            and isinstance(new, dict)
        ):
            return self._object(base, head, new, vertex, path)
        self._conflicts.append(_conflict(vertex, path, yours=new, theirs=head))
        return head

    def _object(
        self,
        base: Mapping[str, Json],
        head: Mapping[str, Json],
        new: Mapping[str, Json],
        vertex: str | None,
        path: Path,
    ) -> dict[str, Json]:
        return self._each(base, head, new, lambda key: (vertex, (*path, key)))

    def _each(
        self,
        base: Mapping[str, Json],
        head: Mapping[str, Json],
        new: Mapping[str, Json],
        place: Callable[[str], tuple[str | None, Path]],
    ) -> dict[str, Json]:
        merged = {}
        for key in {**head, **new}:
            before, theirs, ours = (one.get(key, UNSET) for one in (base, head, new))
            value = self._value(before, theirs, ours, *place(key))
            if value is not UNSET:
                merged[key] = value
        return merged

    def _check_ends(
        self,
        joined: Mapping[str, Json],
        nodes: Mapping[str, Json],
        *,
        base: Mapping[str, Json],
        vertices_before: Mapping[str, Json],
    ) -> None:
        # One connected a vertex, the other removed it: nobody meant a loose edge.
        for key, edge in joined.items():
            for end in (edge.get("source"), edge.get("target")):
                gone = end in vertices_before and end not in nodes
                if gone and key not in base:
                    self._conflicts.append(_conflict(end, (), yours=edge))


def _ordered(
    merged: Mapping[str, Json], base: list[str], head: list[str], new: list[str]
) -> list[Json]:
    # Whoever reordered what both have is followed, else the head; what only the
    # other side has comes after what it came after there.
    common = set(base) & set(head) & set(new)
    moved = [n for n in new if n in common] != [n for n in base if n in common]
    leading, other = (new, head) if moved else (head, new)
    order = [name for name in leading if name in merged]
    known = set(order)
    before: str | None = None
    for name in other:
        if name in merged and name not in known:
            order.insert(order.index(before) + 1 if before else 0, name)
            known.add(name)
        before = name if name in known else before
    return [merged[name] for name in order]


def _rest(document: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in document.items() if key not in _PARTS}


def _by_id(document: Json) -> dict[str, Json]:
    return {vertex["id"]: vertex for vertex in vertices(document)}


def _by_key(document: Json) -> dict[str, Json]:
    return dict(zip(edge_keys(edges(document)), edges(document), strict=True))


def _equal(one: Maybe, other: Maybe) -> bool:
    if one is UNSET or other is UNSET:
        return one is other
    return same(one, other)


def _conflict(
    vertex: str | None, path: Path, *, yours: Maybe = UNSET, theirs: Maybe = UNSET
) -> Conflict:
    return Conflict(
        vertex=vertex, path=path, yours=_shown(yours), theirs=_shown(theirs)
    )


def _shown(value: Maybe) -> Maybe:
    return value if value is UNSET else without_refs(value)


def _named(conflict: Conflict) -> str:
    steps: Iterable[object] = (conflict.vertex or "document", *conflict.path)
    return ".".join(str(step) for step in steps)
