"""The schedule of a run: which vertices may start, given what has happened."""

from collections.abc import Iterable
from typing import Self

import msgspec

from domain.run.events import BranchInactivated, RunEvent, VertexBuilt, VertexFailed
from domain.run.events import VertexStarted as Started
from domain.run.graph import EdgeInfo, Graph
from domain.run.refusals import StartAndStopError, UnknownVertexError
from domain.run.walks import feedback


class Plan(msgspec.Struct, frozen=True):
    """
    What a run sets out to do.

    ``first`` starts at once; ``to_run`` is everything that will be considered, and
    the groups it was drawn in, as clients are told. ``start`` and ``stop`` are what
    was asked for.
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


def plan(graph: Graph, *, start: str | None = None, stop: str | None = None) -> Plan:
    """
    Choose what to run: everything, or what *start* or *stop* leave of it.

    *stop* keeps a vertex and all that feeds it; *start* keeps what a vertex feeds,
    and all that feeds those. Either may name a group.
    """
    start, stop = start or None, stop or None
    if start and stop:
        raise StartAndStopError(
            "You can only provide one of stop_component_id or start_component_id"
        )
    if stop and any(name in graph.circles for name in _meant(graph, stop)):
        start, stop = stop, None
    kept = set(graph.vertices)
    if stop:
        kept = graph.ancestors(_meant(graph, stop))
    elif start:
        kept = graph.ancestors(graph.descendants(_meant(graph, start)))
    first = tuple(
        name
        for name in graph.vertices
        if name in kept and not _awaited(graph, name, _feedback(graph))
    )
    if graph.chat_input in kept and graph.chat_input and not start:
        first = (graph.chat_input,)
    ordered = _layered(graph, kept)
    groups = dict.fromkeys(graph.vertices[name].top_level for name in ordered)
    return Plan(first, tuple(dict.fromkeys((*ordered, *groups))))


