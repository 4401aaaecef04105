"""What a request changes of a flow for one run: tweaks, its input, its session."""

from collections.abc import Callable, Mapping, Sequence
from typing import override

import msgspec

from domain.kernel import DomainError, Json
from domain.run.graph import Graph, VertexInfo

INPUT, SESSION, FILES, CODE = "input_value", "session_id", "files", "code"
_CHATS = {"chat": ("ChatInput", "Chat Input"), "text": ("TextInput", "Text Input")}
_MAX_GROUPS = 40

type Field = dict[str, Json]
type Template = dict[str, Json]


class ConflictingTweakError(DomainError):
    """The request gives its input twice."""

    @property
    @override
    def sentence(self) -> str:
        """LangBuilder's words, which clients look for."""
        return (
            "If you pass an input_value to the chat input, "
            "you cannot pass a tweak with the same name."
        )


class ForbiddenTweakError(DomainError):
    """The source code of a component cannot be tweaked."""


def check_tweaks(
    document: Json,
    tweaks: Mapping[str, Json],
    *,
    input_value: Json = None,
    input_type: str = "chat",
) -> None:
    """Refuse tweaks of source code, and those that contradict the request's input."""
    code = {CODE}
    _each_template(document, lambda _, template: _note_code(template, code))
    for key, tweak in tweaks.items():
        fields = tweak if isinstance(tweak, Mapping) else {key: tweak}
        if forbidden := code & fields.keys():
            raise ForbiddenTweakError(min(forbidden))
        named = any(mark in key for mark in _CHATS.get(input_type, ()))
        if named and input_value is not None and INPUT in fields and fields is tweak:
            raise ConflictingTweakError


def apply_tweaks(
    document: Json, tweaks: Mapping[str, Json], *, stream: bool | None = None
) -> Json:
    """
    Return the document with fields set as *tweaks* say.

    A key is a vertex's id or display name (of several the last), and its value an
    object of fields; any other value is set wherever a field has the key's name.
    *stream* is such a value where the tweaks do not speak of it.
    """
    check_tweaks(document, tweaks)
    everywhere = {k: v for k, v in tweaks.items() if not isinstance(v, Mapping)}
    if stream is not None:
        everywhere.setdefault("stream", stream)
    named = {k: v for k, v in tweaks.items() if isinstance(v, Mapping)}
    ids: dict[str, str] = {}

    def note(node: Mapping[str, Json], template: Template) -> Template:
        ids[str(node["data"]["node"].get("display_name"))] = node["id"]
        return template

    _each_template(document, note)
    by_id: dict[str, dict[str, Json]] = {}
    for key, fields in named.items():
        by_id.setdefault(ids.get(key, key), {}).update(fields)
    return _each_template(
        document,
        lambda node, template: _tweaked(
            template, everywhere | by_id.get(node["id"], {})
        ),
    )


def apply_inputs(
    document: Json,
    *,
    session: str,
    input_value: Json = None,
    input_type: str = "chat",
    whole_run: bool = False,
    components: Sequence[str] = (),
    files: Sequence[str] = (),
) -> Json:
    """
    Return the document with the request's session, input and files put in.

    A *whole_run*, one of the API, overwrites every vertex's session, and its
    *input_type* chooses the input vertices by their ids; a run of the editor fills
    in sessions that are empty, and speaks to the chat. Fields that an edge feeds
    are left alone.
    """
    graph = Graph.of(document)

    def put(node: Mapping[str, Json], template: Template) -> Template:
        vertex = graph.vertices.get(node["id"])
        if vertex is None:
            return template
        wired = {edge.target_field for edge in graph.incoming[vertex.id]}
        given: dict[str, Json] = {}
        if whole_run or not _held(template, SESSION):
            given[SESSION] = session
        kind = input_type if whole_run else "chat"
        if input_value is not None and _takes_input(vertex, kind, components):
            given[INPUT] = input_value
        if files and vertex.is_chat_input:
            given[FILES] = list(files)
        return template | {
            name: template[name] | {_slot(template[name]): value, "load_from_db": False}
            for name, value in given.items()
            if name not in wired and isinstance(template.get(name), dict)
        }

    return _each_template(document, put)


def _takes_input(vertex: VertexInfo, kind: str, components: Sequence[str]) -> bool:
    if not vertex.is_input:
        return False
    if components:
        return vertex.id in components or vertex.display_name in components
    return kind == "any" or kind.lower() in vertex.id.lower()


def _held(template: Template, name: str) -> Json:
    field = template.get(name)
    return field.get("value") if isinstance(field, dict) else None


def _note_code(template: Template, code: set[str]) -> Template:
    code |= {
        name
        for name, field in template.items()
        if isinstance(field, dict) and field.get("type") == "code"
    }
    return template


def _tweaked(template: Template, changes: Mapping[str, Json]) -> Template:
    return template | {
        name: _set(template[name], value)
        for name, value in changes.items()
        if isinstance(template.get(name), dict)
    }


def _set(field: Field, value: Json) -> Field:
    if field.get("type") == "NestedDict":
        return field | {"value": _parsed(value)}
    if isinstance(value, Mapping):
        return field | dict(value)
    return field | {_slot(field): value}


def _slot(field: Field) -> str:
    return "file_path" if field.get("type") == "file" else "value"


def _parsed(value: Json) -> Json:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value


def _each_template(
    document: Json,
    change: Callable[[Mapping[str, Json], Template], Template],
    depth: int = 0,
) -> Json:
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if not isinstance(nodes, list) or depth > _MAX_GROUPS:
        return document
    return document | {"nodes": [_changed(node, change, depth) for node in nodes]}


def _changed(
    node: Json,
    change: Callable[[Mapping[str, Json], Template], Template],
    depth: int,
) -> Json:
    data = node.get("data") if isinstance(node, dict) else None
    component = data.get("node") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(component, dict):
        return node
    template, group = component.get("template"), component.get("flow")
    changed = dict(component)
    if isinstance(template, dict):
        changed["template"] = change(node, template)
    if isinstance(group, dict) and "data" in group:
        inside = _each_template(group["data"], change, depth + 1)
        changed["flow"] = group | {"data": inside}
    return node | {"data": data | {"node": changed}}
