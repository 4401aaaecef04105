"""Which fields of a flow a tweak may not touch, so that who runs it stays in it."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from domain.kernel import DomainError, Json
from domain.run.graph import Graph, VertexInfo
from domain.run.tweaks import meant

DECLARED: Final = "api_editable"
"""The key of a field by which whoever draws a flow lets callers change it."""

_WHERE = re.compile(
    r"(^|_)(urls?|uri|endpoint|hosts?|port|dsn|proxy|proxies|server|servers|api_base"
    r"|connection_string|command|commands|sql|curl)(_|$)|^curl_input$"
)
_EXECUTED = frozenset({"mcp", "query"})
_ATTRIBUTES = frozenset({"type", "_input_type", "password", "name", DECLARED})


class GuardedTweakError(DomainError):
    """
    A tweak cannot change where a component sends things or what it executes.

    Whoever draws the flow may allow it: the field then says ``api_editable``.
    """


class CredentialTweakError(DomainError):
    """An API key that may only run flows cannot change their credentials."""


class TweakedAttributeError(DomainError):
    """A tweak sets what a field holds, not what kind of field it is."""


def check_guarded(graph: Graph, tweaks: Mapping[str, Json], *, may_edit: bool) -> None:
    """
    Refuse tweaks of what is not the caller's to change.

    Addresses, commands and SQL are the flow's, whoever calls; credentials and the
    names of variables are those of who may edit the flow (*may_edit*).
    """
    for vertex, name, value in _changed(graph, tweaks):
        field = vertex.template.get(name)
        if not isinstance(field, Mapping):
            continue
        if isinstance(value, Mapping) and (odd := _ATTRIBUTES & value.keys()):
            raise TweakedAttributeError(f"{name}.{min(odd)}")
        if field.get(DECLARED) is True:
            continue
        if _is_guarded(vertex, name, field):
            raise GuardedTweakError(name)
        if not may_edit and (field.get("password") or _binds(value)):
            raise CredentialTweakError(name)


def _changed(
    graph: Graph, tweaks: Mapping[str, Json]
) -> Iterator[tuple[VertexInfo, str, Json]]:
    for key, tweak in tweaks.items():
        if isinstance(tweak, Mapping):
            for vertex, name, value in meant(graph, key, tweak):
                if vertex in graph.vertices:
                    yield graph.vertices[vertex], name, value
        else:
            for each in graph.vertices.values():
                yield each, key, tweak


def _is_guarded(vertex: VertexInfo, name: str, field: Mapping[str, Json]) -> bool:
    if _WHERE.search(name.lower()):
        return True
    if field.get("type") in _EXECUTED or field.get("_input_type") == "QueryInput":
        return True
    return name == "query" and "sql" in vertex.type.lower()


def _binds(value: Json) -> bool:
    """Tell whether a tweak names a variable, of which the flow may have had none."""
    return isinstance(value, Mapping) and bool(value.get("load_from_db"))
