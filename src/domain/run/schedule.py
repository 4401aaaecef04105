"""The schedule of a run: which vertices may start, given what has happened."""

from collections.abc import Iterable, Sequence

import msgspec

from domain.run.events import RunEvent, VertexBuilt, VertexFailed, VertexStarted
from domain.run.graph import Graph
from domain.run.refusals import StartAndStopError
from domain.run.walks import reached


class Plan(msgspec.Struct, frozen=True):
    """
    What a run sets out to do.

    ``first`` starts at once; ``to_run`` is everything that will be considered, and
    the groups it was drawn in, as clients are told.
    """

    first: tuple[str, ...]
    to_run: tuple[str, ...]


class Step(msgspec.Struct, frozen=True):
    """
    What follows from a vertex built.

    ``next`` may start now, ``top_level`` names the same by their outermost groups,
    ``inactivated`` are the vertices newly out of the run that clients are told of
    and ``stopped`` the outputs that put them out.
    """

    next: tuple[str, ...] = ()
    top_level: tuple[str, ...] = ()
    inactivated: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


def entrance(graph: Graph, *, webhook: bool = False) -> str | None:
    """
    Return the vertex through which a call of the API comes in, if there is one.

    It is the chat's for who says something, the webhook's for who delivers
    something; the other where the flow lacks that. What neither feeds nor is fed
    by anything beyond it is no part of the run.
    """
    ways = [one for one in graph.vertices.values() if one.is_input]
    hooks = [one.id for one in ways if one.is_webhook]
    chats = [one.id for one in ways if "chat" in one.id.lower()]
    found = [*hooks, *chats] if webhook else [*chats, *hooks]
    return found[0] if found else None


def plan(
    graph: Graph,
    *,
    start: str | None = None,
    stop: str | None = None,
    through: str | None = None,
) -> Plan:
    """
    Choose what to run: everything, or what *start* or *stop* leave of it.

    *stop* keeps a vertex and all that feeds it; *start* keeps what a vertex feeds,
    and all that feeds those. Either may name a group. *through* keeps what *start*
    would where neither of them is given, and the chat still comes first.
    """
    if start and stop:
        raise StartAndStopError(
            "You can only provide one of stop_component_id or start_component_id"
        )
    if stop and any(name in graph.circles for name in _meant(graph, stop)):
        start, stop = stop, None
    kept = set(graph.vertices)
    if stop:
        kept = graph.ancestors(_meant(graph, stop))
    elif begin := start or through:
        kept = graph.ancestors(graph.descendants(_meant(graph, begin)))
    ordered = _in_order(graph, kept)
    first = tuple(name for name in ordered if not graph.awaited(name))
    if not start and graph.chat_input in kept:
        first = (graph.chat_input,)
    groups = [graph.vertices[name].top_level for name in ordered]
    return Plan(first, tuple(dict.fromkeys((*first, *ordered, *groups))))


class Progress:
    """
    How far a run has come: told what happened, it says what may happen next.

    It knows nothing of time: live execution, resuming and replay all tell it the
    same story and get the same answers.
    """

    def __init__(self, graph: Graph, chosen: Plan) -> None:
        self._graph = graph
        self._kept = graph.vertices.keys() & set(chosen.to_run)
        self._awaits = {
            name: graph.awaited(name).keys() & self._kept for name in self._kept
        }
        self._scheduled = dict.fromkeys(chosen.first)
        self._running: dict[str, None] = {}
        self._begun: set[str] = set()
        self._failed: set[str] = set()
        self._stopped: dict[tuple[str, str], set[str]] = {}
        self._stopping: dict[str, dict[str, None]] = {}

    def ready(self) -> tuple[str, ...]:
        """Return the vertices that may start now, and have not."""
        return tuple(self._scheduled)

    @property
    def running(self) -> tuple[str, ...]:
        """The vertices that have started and not finished."""
        return tuple(self._running)

    @property
    def done(self) -> bool:
        """Whether nothing runs and nothing may start any more."""
        return not self._scheduled and not self._running

    def started(self, vertex: str) -> None:
        """*vertex* is being carried out; a further attempt changes nothing."""
        self._scheduled.pop(vertex, None)
        if vertex in self._running:
            return
        self._running[vertex] = None
        self._begun.add(vertex)
        # In a circle its turn comes again, once those that feed it had theirs.
        self._awaits[vertex] = {
            name
            for name in self._graph.predecessors(vertex)
            if name in self._kept and self._together(name, vertex)
        }

    def inactivate(self, vertex: str, output: str) -> tuple[str, ...]:
        """
        *vertex*, being carried out, stops what hangs on *output*.

        Return the vertices to tell clients of: a vertex that several edges lead to
        goes out in silence, as in LangBuilder.
        """
        branch = self._branch(vertex, output)
        self._stopped[vertex, output] = branch
        self._stopping.setdefault(vertex, {})[output] = None
        for name in branch:
            self._scheduled.pop(name, None)
        return self._reported(vertex, output)

    def built(
        self,
        vertex: str,
        stopped: Iterable[str] = (),
        *,
        inactivated: Iterable[str] = (),
    ) -> Step:
        """
        *vertex* was carried out: say what may start because of it.

        It stopped the outputs that `inactivate` was told of, and *stopped*. Where a
        recorded event lacks both, they are inferred from the vertices *inactivated*.
        """
        if vertex not in self._running:
            self.started(vertex)
        told = [*self._stopping.get(vertex, ()), *stopped]
        for output in told or self._inferred(vertex, set(inactivated)):
            self.inactivate(vertex, output)
        outputs = tuple(self._stopping.pop(vertex, ()))
        self._revive(vertex, outputs)
        del self._running[vertex]
        following = dict.fromkeys(
            edge.target
            for edge in self._graph.outgoing[vertex]
            if edge.source_output not in outputs and edge.target in self._kept
        )
        for name in following:
            self._awaits[name].discard(vertex)
        scheduled = self._schedule(following)
        tops = dict.fromkeys(self._graph.vertices[one].top_level for one in scheduled)
        out = dict.fromkeys(
            name for output in outputs for name in self._reported(vertex, output)
        )
        return Step(scheduled, tuple(tops), tuple(out), outputs)

    def failed(self, vertex: str) -> Step:
        """*vertex* could not be carried out: nothing may start because of it."""
        self._scheduled.pop(vertex, None)
        self._running.pop(vertex, None)
        self._stopping.pop(vertex, None)
        self._begun.add(vertex)
        self._failed.add(vertex)
        return Step()

    def _schedule(self, following: Iterable[str]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        seen: set[str] = set()
        ahead = list(reversed(list(following)))
        while ahead:
            name = ahead.pop()
            if name in seen or self._is_inactive(name):
                continue
            seen.add(name)
            pending = [one for one in self._awaits[name] if not self._is_inactive(one)]
            if pending:
                ahead.extend(sorted(pending, key=self._graph.place, reverse=True))
            elif self._may_begin(name):
                found[name] = None
        self._scheduled |= found
        return tuple(found)

    def _may_begin(self, name: str) -> bool:
        if name in self._running or name in self._scheduled or name in self._failed:
            return False
        return name not in self._begun or name in self._graph.circles

    def _is_inactive(self, name: str) -> bool:
        return any(name in branch for branch in self._stopped.values())

    def _branch(self, vertex: str, output: str) -> set[str]:
        begin = [
            edge.target
            for edge in self._graph.outgoing[vertex]
            if edge.source_output == output and edge.target != vertex
        ]
        return reached(
            begin,
            lambda name: [n for n in self._graph.successors(name) if n != vertex],
        )

    def _reported(self, vertex: str, output: str) -> tuple[str, ...]:
        branch = self._branch(vertex, output) & self._kept
        alone = [name for name in branch if len(self._graph.incoming[name]) <= 1]
        return tuple(sorted(alone, key=self._graph.place))

    def _inferred(self, vertex: str, inactivated: set[str]) -> list[str]:
        if not inactivated:
            return []
        outputs = {edge.source_output: None for edge in self._graph.outgoing[vertex]}
        return [
            output
            for output in outputs
            if (told := self._reported(vertex, output)) and set(told) <= inactivated
        ]

    def _revive(self, vertex: str, outputs: Sequence[str]) -> None:
        # A loop that ends, or a router that chooses anew, gives a branch back.
        back: set[str] = set()
        for stopper, output in list(self._stopped):
            if stopper == vertex and output not in outputs:
                back |= self._stopped.pop((stopper, output))
        for (stopper, _), branch in self._stopped.items():
            if stopper == vertex:
                branch.difference_update(back)

    def _together(self, one: str, other: str) -> bool:
        circles = self._graph.circles
        return one in circles and circles.get(other) == circles[one]


def replay(graph: Graph, chosen: Plan, events: Iterable[RunEvent]) -> Progress:
    """Return the progress that a run's *events* came to."""
    progress = Progress(graph, chosen)
    for event in events:
        match event:
            case VertexStarted(vertex=vertex):
                progress.started(vertex)
            case VertexBuilt(vertex=vertex):
                progress.built(vertex, event.stopped, inactivated=event.inactivated)
            case VertexFailed(vertex=vertex):
                progress.failed(vertex)
            case _:
                pass
    return progress


def _meant(graph: Graph, name: str) -> list[str]:
    if name in graph.vertices:
        return [name]
    inside = [one.id for one in graph.vertices.values() if name in one.within]
    return inside or [graph.vertex(name).id]


def _in_order(graph: Graph, kept: set[str]) -> list[str]:
    waits = {name: graph.awaited(name).keys() & kept for name in kept}
    ordered: list[str] = []
    layer = [name for name in graph.vertices if name in kept and not waits[name]]
    while layer:
        ordered += layer
        following: dict[str, None] = {}
        for name in layer:
            for one in graph.successors(name):
                if one in kept and name in waits[one]:
                    waits[one].discard(name)
                    if not waits[one]:
                        following[one] = None
        layer = list(following)
    return ordered
