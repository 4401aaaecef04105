"""What a request changes of a flow for one run: tweaks, its input, its session."""

from collections.abc import Iterator, Mapping
from typing import override

import msgspec

from domain.kernel import DomainError, Json
from domain.run.asked import Asked
from domain.run.graph import Graph, VertexInfo

INPUT, SESSION, FILES, CODE = "input_value", "session_id", "files", "code"
PAYLOAD = "data"
VERBATIM = "verbatim"
"""The type of a field whose text nobody converts, whatever it looks like."""
_CHATS = {"chat": ("ChatInput", "Chat Input"), "text": ("TextInput", "Text Input")}

type Field = Mapping[str, Json]
type Template = Mapping[str, Json]


class ConflictingTweakError(DomainError):
    """A tweak sets the same field as the input of the request."""

    @property
    @override
    def sentence(self) -> str:
        """LangBuilder's words, which clients look for."""
        return (
            "If you pass an input_value to the chat input, "
            "you cannot pass a tweak with the same name."
        )


class ForbiddenTweakError(DomainError):
    """The source code of a component cannot be changed by a tweak."""


def check_tweaks(graph: Graph, asked: Asked) -> None:
    """Refuse tweaks of source code, and those that contradict the request's input."""
    if not asked.tweaks:
        return
    code = _code_in(graph)
    marks = _CHATS.get(asked.input_type, ())
    for key, tweak in asked.tweaks.items():
        fields = tweak if isinstance(tweak, Mapping) else {key: tweak}
        if forbidden := code & fields.keys():
            raise ForbiddenTweakError(min(forbidden))
        twice = fields is tweak and INPUT in tweak and asked.input_value is not None
        if twice and any(mark in key for mark in marks):
            raise ConflictingTweakError


def templates(graph: Graph, asked: Asked, *, session: str) -> dict[str, Template]:
    """
    Return each vertex's template with tweaks, session and input put in.

    A tweak's key is a vertex's id or display name (of several the last), or a
    group's id, and its value an object of fields; any other value is set wherever a
    field has the key's name, unless a vertex has a tweak of its own for it.

    A run of the API overwrites every vertex's session, and its ``input_type``
    chooses the input vertices by their ids; a run of the editor fills in sessions
    that are empty, and speaks to the chat. Fields that an edge feeds are left alone.
    """
    check_tweaks(graph, asked)
    everywhere = {
        name: value
        for name, value in asked.tweaks.items()
        if not isinstance(value, Mapping)
    }
    if asked.stream is not None:
        everywhere.setdefault("stream", asked.stream)
    own: dict[str, dict[str, Json]] = {}
    for key, fields in asked.tweaks.items():
        if isinstance(fields, Mapping):
            for vertex, field, value in meant(graph, key, fields):
                own.setdefault(vertex, {})[field] = value
    return {
        vertex.id: _asked_for(
            vertex,
            _tweaked(vertex.template, everywhere | own.get(vertex.id, {})),
            asked,
            session=session,
            wired={edge.target_field for edge in graph.incoming[vertex.id]},
        )
        for vertex in graph.vertices.values()
    }


def _code_in(graph: Graph) -> set[str]:
    """Return the names of fields that hold source code, in groups as well."""
    found = {CODE}
    for vertex in graph.vertices.values():
        for name in vertex.template:
            if name == CODE or _field(vertex.template, name).get("type") == "code":
                found |= {name, _in_group(name, vertex)}
    return found


def _in_group(field: str, vertex: VertexInfo) -> str:
    """Return what a group around *vertex* calls its field."""
    return f"{field}_{vertex.id}"


def meant(
    graph: Graph, key: str, fields: Mapping[str, Json]
) -> Iterator[tuple[str, str, Json]]:
    """Yield the vertex, the field and the value that *fields* under *key* mean."""
    if key not in graph.vertices:
        inside = [one for one in graph.vertices.values() if key in one.within]
        for vertex in inside:
            for name in vertex.template:
                if _in_group(name, vertex) in fields:
                    yield vertex.id, name, fields[_in_group(name, vertex)]
        named = [one for one in graph.vertices.values() if one.display_name == key]
        if inside or not named:
            return
        key = named[-1].id
    for name, value in fields.items():
        yield key, name, value


def _tweaked(template: Template, changes: Mapping[str, Json]) -> Template:
    known = {
        name: _set(template[name], value)
        for name, value in changes.items()
        if isinstance(template.get(name), Mapping)
    }
    return {**template, **known} if known else template


def _set(field: Field, value: Json) -> Field:
    if field.get("type") == "NestedDict":
        return {**field, "value": _parsed(value)}
    attributes = value if isinstance(value, Mapping) else {"value": value}
    if field.get("type") == "file" and "value" in attributes:
        attributes = {**attributes, "file_path": attributes["value"]}
    return {**field, **attributes}


def _parsed(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _asked_for(
    vertex: VertexInfo,
    template: Template,
    asked: Asked,
    *,
    session: str,
    wired: set[str],
) -> Template:
    given: dict[str, Json] = {}
    template = _with_payload(vertex, template, asked)
    held = _field(template, SESSION).get("value")
    if SESSION in template and (asked.whole_run or not held):
        given[SESSION] = session
    if asked.input_value is not None and _takes_input(vertex, asked):
        given[INPUT] = asked.input_value
    if asked.files and vertex.is_chat_input and FILES in template:
        given[FILES] = list(asked.files)
    put = {
        name: {**_set(_field(template, name), value), "load_from_db": False}
        for name, value in given.items()
        if name not in wired
    }
    return {**template, **put} if put else template


def _with_payload(vertex: VertexInfo, template: Template, asked: Asked) -> Template:
    """Return *template* with the body of the webhook call, to the letter."""
    if asked.payload is None or not vertex.is_webhook or PAYLOAD not in template:
        return template
    field = {**_field(template, PAYLOAD), "value": asked.payload, "type": VERBATIM}
    return {**template, PAYLOAD: {**field, "load_from_db": False, "show": True}}


def _takes_input(vertex: VertexInfo, asked: Asked) -> bool:
    if not vertex.is_input:
        return False
    if asked.components:
        return vertex.id in asked.components or vertex.display_name in asked.components
    if not asked.whole_run:
        return vertex.is_chat_input
    return asked.input_type == "any" or asked.input_type.lower() in vertex.id.lower()


def _field(template: Template, name: str) -> Field:
    field = template.get(name)
    return field if isinstance(field, Mapping) else {}
