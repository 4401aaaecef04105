"""The graph that a run carries out: vertices joined by edges, groups taken apart."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Self

import msgspec

from domain.kernel import Json
from domain.run.refusals import (
    BadEdgeError,
    BadVertexError,
    EndlessCircleError,
    GraphError,
    StartAndStopError,
    TwoChatInputsError,
    UnknownVertexError,
)
from domain.run.ungrouping import Node, Wire, ungrouped
from domain.run.walks import circles, feedback, reached

__all__ = [
    "BadEdgeError",
    "BadVertexError",
    "EdgeInfo",
    "EndlessCircleError",
    "Graph",
    "GraphError",
    "StartAndStopError",
    "TwoChatInputsError",
    "UnknownVertexError",
    "VertexInfo",
]

_INPUTS = ("ChatInput", "Webhook", "TextInput")
_OUTPUTS = ("ChatOutput", "DataOutput", "TextOutput")
_ROUTERS = ("ConditionalRouter", "DataConditionalRouter", "SmartRouter")


class VertexInfo(msgspec.Struct, frozen=True, kw_only=True):
    """
    A vertex as a run sees it.

    ``node`` is the component object (``data.node``), ``within`` the groups it was
    drawn in, outermost first.
    """

    id: str
    type: str
    display_name: str
    node: Mapping[str, Json]
    is_input: bool
    is_output: bool
    is_router: bool
    frozen: bool
    within: tuple[str, ...] = ()

    @property
    def parent(self) -> str | None:
        """The group that the vertex was drawn in, if any."""
        return self.within[-1] if self.within else None

    @property
    def top_level(self) -> str:
        """The outermost group that the vertex was drawn in, else the vertex."""
        return self.within[0] if self.within else self.id

    @property
    def is_chat_input(self) -> bool:
        return "ChatInput" in self.id

    @property
    def is_webhook(self) -> bool:
        return "webhook" in self.id.lower()

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the component's outputs, in order."""
        return tuple(one["name"] for one in _outputs(self.node))

    @property
    def template(self) -> Mapping[str, Json]:
        """The component's fields by name."""
        template = self.node.get("template")
        return template if isinstance(template, dict) else {}


class EdgeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """
    An edge as a run sees it: one output feeds one field.

    ``loops`` tells that it feeds back into a loop, whose outlet ``target_field`` is.
    """

    source: str
    source_output: str
    target: str
    target_field: str
    loops: bool = False


class Graph:
    """What feeds what; made by `Graph.of` and never changed."""

    def __init__(
        self, vertices: Iterable[VertexInfo], edges: Iterable[EdgeInfo]
    ) -> None:
        self.vertices = {vertex.id: vertex for vertex in vertices}
        self.edges = tuple(edges)
        self._places = {name: place for place, name in enumerate(self.vertices)}
        self.incoming: dict[str, list[EdgeInfo]] = {name: [] for name in self.vertices}
        self.outgoing: dict[str, list[EdgeInfo]] = {name: [] for name in self.vertices}
        for edge in self.edges:
            self.incoming[edge.target].append(edge)
            self.outgoing[edge.source].append(edge)

    @classmethod
    def of(cls, document: Json) -> Self:
        """Read a document, or raise `GraphError` where it cannot be carried out."""
        nodes, wires = ungrouped(document)
        vertices = {node.id: _vertex(node) for node in nodes}
        graph = cls(vertices.values(), [_edge(wire, vertices) for wire in wires])
        graph._check_chat_inputs()
        graph._checkcircles()
        return graph

    def vertex(self, name: str) -> VertexInfo:
        """Return the vertex *name*, or raise `UnknownVertexError`."""
        try:
            return self.vertices[name]
        except KeyError:
            raise UnknownVertexError(f"Vertex {name} not found") from None

    def named(self, name: str) -> list[VertexInfo]:
        """Return the vertices that *name* means: by id, group or display name."""
        if name in self.vertices:
            return [self.vertices[name]]
        return [
            vertex
            for vertex in self.vertices.values()
            if name == vertex.display_name or name in vertex.within
        ]

    def predecessors(self, name: str) -> dict[str, None]:
        """Return the vertices that feed *name*, each once, in order."""
        return dict.fromkeys(edge.source for edge in self.incoming[name])

    def successors(self, name: str) -> dict[str, None]:
        """Return the vertices that *name* feeds, each once, in order."""
        return dict.fromkeys(edge.target for edge in self.outgoing[name])

    def awaited(self, name: str) -> dict[str, None]:
        """Return what *name* waits for the first time: no step back in a circle."""
        return dict.fromkeys(
            edge.source
            for edge in self.incoming[name]
            if not edge.loops and (edge.source, name) not in self._back
        )

    def place(self, name: str) -> int:
        """Return where *name* stands in the document."""
        return self._places[name]

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """Return *names* and everything that feeds them, however far."""
        return reached(names, self.predecessors)

    def descendants(self, names: Iterable[str]) -> set[str]:
        """Return *names* and everything that they feed, however far."""
        return reached(names, self.successors)

    def wanted(self, name: str) -> tuple[str, ...]:
        """Return the outputs to compute: those with an edge, or all where none has."""
        wired = {edge.source_output for edge in self.outgoing[name]}
        outputs = self.vertices[name].outputs
        return tuple(one for one in outputs if one in wired) or outputs

    def reads(self, name: str) -> tuple[str, ...]:
        """Return the vertices whose results *name* takes, one an edge."""
        return tuple(edge.source for edge in self.incoming[name])

    @property
    def chat_input(self) -> str | None:
        """The chat input that begins the run, if there is one."""
        found = self._chat_inputs()
        return found[0] if found else None

    @cached_property
    def circles(self) -> dict[str, int]:
        """The circle that each vertex of one lies in, as a number."""
        return circles(self.vertices, self.successors)

    @cached_property
    def _back(self) -> set[tuple[str, str]]:
        # Walk from where the run can begin, so that a circle opens at its entry.
        begin = [name for name in self.vertices if not self.incoming[name]]
        return feedback([*begin, *self.vertices], self._forward)

    def _forward(self, name: str) -> dict[str, None]:
        return dict.fromkeys(
            edge.target for edge in self.outgoing[name] if not edge.loops
        )

    def _chat_inputs(self) -> list[str]:
        return [
            vertex.id
            for vertex in self.vertices.values()
            if vertex.is_chat_input and not self.incoming[vertex.id]
        ]

    def _check_chat_inputs(self) -> None:
        if len(self._chat_inputs()) > 1:
            raise TwoChatInputsError("Only one chat input is allowed in the graph")

    def _checkcircles(self) -> None:
        def held(name: str) -> dict[str, None]:
            return {} if self.vertices[name].is_router else self._forward(name)

        stuck = circles(self.vertices, held)
        if stuck:
            first = next(iter(stuck.values()))
            names = [name for name in self.vertices if stuck.get(name) == first]
            raise EndlessCircleError(
                f"{', '.join(names[:10])} form a cycle that passes through neither "
                "a loop nor a router"
            )


def _vertex(drawn: Node) -> VertexInfo:
    name, node = drawn.id, drawn.component
    data = drawn.raw.get("data")
    data = data if isinstance(data, dict) else {}
    kind = data.get("type")
    kind = kind if isinstance(kind, str) else name.rsplit("-", 1)[0]
    shown = node.get("display_name") or data.get("display_name")
    return VertexInfo(
        id=name,
        type=kind,
        display_name=shown if isinstance(shown, str) else kind,
        node=node,
        is_input=any(word in name for word in _INPUTS) or bool(node.get("is_input")),
        is_output=any(word in name for word in _OUTPUTS) or bool(node.get("is_output")),
        is_router=kind in _ROUTERS,
        frozen=bool(node.get("frozen")),
        within=drawn.within,
    )


def _outputs(node: Mapping[str, Json]) -> list[dict[str, Json]]:
    found = node.get("outputs")
    return [
        one
        for one in (found if isinstance(found, list) else ())
        if isinstance(one, dict) and isinstance(one.get("name"), str)
    ]


def _edge(wire: Wire, vertices: Mapping[str, VertexInfo]) -> EdgeInfo:
    for end, name in (("Source", wire.source), ("Target", wire.target)):
        if name not in vertices:
            raise BadEdgeError(f"{end} vertex {name} not found")
    source, target = vertices[wire.source], vertices[wire.target]
    if not _handles_fit(wire):
        raise BadEdgeError(
            f"Edge between {source.display_name} and {target.display_name} "
            "has invalid handles"
        )
    if not _types_match(wire, source, target):
        raise BadEdgeError(
            f"Edge between {source.type} and {target.type} has no matched type."
        )
    return EdgeInfo(
        source=wire.source,
        source_output=wire.source_output,
        target=wire.target,
        target_field=wire.target_field,
        loops=wire.loops,
    )


def _handles_fit(wire: Wire) -> bool:
    if wire.input_types is None:
        return wire.target_type in wire.output_types
    return wire.target_type in wire.output_types or any(
        one in wire.input_types for one in wire.output_types
    )


def _types_match(wire: Wire, source: VertexInfo, target: VertexInfo) -> bool:
    if wire.loops:
        return True
    given = [
        kind
        for output in _outputs(source.node)
        if output["name"] == wire.source_output
        for kind in output.get("types") or ()
    ]
    taken = [
        kind
        for field in target.template.values()
        if isinstance(field, dict)
        for kind in (field.get("type"), *(field.get("input_types") or ()))
        if isinstance(kind, str)
    ]
    return any(kind in other for kind in given for other in taken)
