"""A flow as a tool: the name it is called by, and the arguments that it takes."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from domain.kernel import DomainError, Json
from domain.run.graph import Graph, GraphError, VertexInfo
from domain.run.tweaks import CODE, INPUT

type Kind = Literal["string", "integer", "number", "boolean"]

LONGEST_NAME: Final = 30
SESSION: Final = "session_id"
"""An argument that every tool takes without saying so: the conversation to go on in."""

_NAMELESS: Final = "unnamed"
_KINDS: Final[dict[str, Kind]] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
}
_TYPES: Final[dict[Kind, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_SECRET_INPUTS: Final = ("SecretStrInput", "MultilineSecretInput")


class UnwelcomeArgumentError(DomainError):
    """The tool cannot be called with these arguments."""


class Argument(msgspec.Struct, frozen=True, kw_only=True):
    """What a tool can be told: a field of the input vertices that share its name."""

    name: str
    kind: Kind
    description: str
    required: bool
    vertices: tuple[str, ...]


def tool_name(words: str) -> str:
    """Return *words* in snake case, at most 30 letters, digits and underscores."""
    plain = unicodedata.normalize("NFKD", words.casefold())
    ascii_only = plain.encode("ascii", "ignore").decode()
    snake = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")
    if snake[:1].isdigit():
        snake = f"_{snake}"
    return snake[:LONGEST_NAME].rstrip("_") or _NAMELESS


def tool_names(each: Iterable[str]) -> list[str]:
    """Return a tool name for each of *each*; of those alike the later get a number."""
    taken: set[str] = set()
    given: list[str] = []
    for words in each:
        name = first = tool_name(words)
        number = 0
        while name in taken:
            number += 1
            mark = f"_{number}"
            name = first[: LONGEST_NAME - len(mark)].rstrip("_") + mark
        taken.add(name)
        given.append(name)
    return given


def tool_description(
    name: str, *, action: str | None = None, flow: str | None = None
) -> str:
    """Return what a tool is said to do, in the words given or made up of its name."""
    return action or flow or f"Tool generated from flow: {name}"


def arguments_of(document: Json) -> list[Argument]:
    """
    Return what a flow can be told: the visible fields of its input vertices.

    A flow that cannot be carried out takes nothing; calling it tells why.
    """
    try:
        graph = Graph.of(document)
    except GraphError:
        return []
    found: dict[str, Argument] = {}
    for vertex in graph.vertices.values():
        for name, field in _open_fields(vertex):
            before = found.get(name)
            found[name] = Argument(
                name=name,
                kind=before.kind if before else _kind(field),
                description=before.description if before else _described(name, field),
                required=bool(field.get("required"))
                or bool(before and before.required),
                vertices=(*(before.vertices if before else ()), vertex.id),
            )
    return list(found.values())


def schema_of(arguments: Sequence[Argument]) -> dict[str, Any]:
    """Return the JSON schema of *arguments*."""
    return {
        "type": "object",
        "properties": {
            one.name: {"type": one.kind, "description": one.description}
            for one in arguments
        },
        "required": [one.name for one in arguments if one.required],
    }


def check_arguments(given: Mapping[str, Json], known: Sequence[Argument]) -> None:
    """Refuse arguments that are unknown, missing, or of another type than declared."""
    kinds = {one.name: one.kind for one in known} | {SESSION: "string"}
    for name, value in given.items():
        if name not in kinds:
            welcome = ", ".join(one.name for one in known) or "none"
            raise UnwelcomeArgumentError(f"{name} is unknown; it takes {welcome}")
        if not _fits(value, kinds[name]):
            raise UnwelcomeArgumentError(f"{name} must be of type {kinds[name]}")
    missing = [one.name for one in known if one.required and one.name not in given]
    if missing:
        raise UnwelcomeArgumentError(f"{', '.join(missing)} is missing")


def tweaks_for(
    given: Mapping[str, Json], known: Sequence[Argument]
) -> dict[str, dict[str, Json]]:
    """
    Return the tweaks that carry *given*, all but the input, to their vertices.

    A value is never taken for the name of a variable.
    """
    tweaks: dict[str, dict[str, Json]] = {}
    for one in known:
        if one.name != INPUT and one.name in given:
            for vertex in one.vertices:
                plain = {"value": given[one.name], "load_from_db": False}
                tweaks.setdefault(vertex, {})[one.name] = plain
    return tweaks


def _open_fields(vertex: VertexInfo) -> Iterable[tuple[str, Mapping[str, Json]]]:
    if not vertex.is_input:
        return
    for name, field in vertex.template.items():
        if name in {CODE, "_type"} or not isinstance(field, Mapping):
            continue
        secret = field.get("password") or field.get("_input_type") in _SECRET_INPUTS
        if field.get("show") and not field.get("advanced") and not secret:
            yield name, field


def _kind(field: Mapping[str, Json]) -> Kind:
    return _KINDS.get(str(field.get("type")), "string")


def _described(name: str, field: Mapping[str, Json]) -> str:
    said = field.get("info")
    return said if isinstance(said, str) and said else f"Input value for {name}"


def _fits(value: Json, kind: Kind) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])
