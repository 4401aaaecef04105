"""How a field gets its value: edges first, then the template, variables, types."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, override

import msgspec

from domain.kernel import DomainError, Json
from domain.run.values import DataFrame, Value

type Template = Mapping[str, Json]
type Field = Mapping[str, Json]

INPUT = "input_value"
SESSION = "session_id"
UNTYPED = "other"
SOURCE_CODE = "code"
CHAT_INPUT = "ChatInput"


class InputAndTweakClashError(DomainError):
    """The request's input and a tweak say two things about the same field."""

    @property
    @override
    def sentence(self) -> str:
        """LangBuilder's words, which clients look for."""
        return (
            "If you pass an input_value to the chat input, "
            "you cannot pass a tweak with the same name."
        )


class VariableMissingError(DomainError):
    """A field names a global variable that is not there."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    @override
    def sentence(self) -> str:
        """LangBuilder's words, which clients look for."""
        return f"{self.name} variable not found."


class CredentialAsSessionError(DomainError):
    """A credential may not name a session."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a request wants of its run: inputs, tweaks, and which answers to return.

    It is kept as the content of ``run.requested``, so it holds no secret: those in
    *tweaks* are references by then.
    """

    input_value: Any = None
    input_type: str = "chat"
    components: tuple[str, ...] = ()
    output_type: str = "chat"
    output_component: str = ""
    session: str | None = None
    files: tuple[str, ...] = ()
    tweaks: dict[str, Any] = msgspec.field(default_factory=dict)
    start: str | None = None
    stop: str | None = None
    stream: bool | None = None
    whole_run: bool = False
    """An API run: its session overwrites every vertex's, and it collects outputs."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A vertex as its inputs need to know it, before anything ran."""

    id: str
    display_name: str
    is_input: bool
    template: Template
    wired: frozenset[str]


def prepared(slots: Sequence[Slot], asked: Asked, session: str) -> dict[str, Template]:
    """Return each vertex's template with tweaks, session and input put in."""
    tweaked = _tweaked(slots, asked)
    return {
        slot.id: _with_request(slot, tweaked[slot.id], asked, session) for slot in slots
    }


def check_tweaks(asked: Asked) -> None:
    """Refuse a tweak that says the same as the request's own input."""
    if asked.input_value is None:
        return
    marks = {"chat": ("ChatInput", "Chat Input"), "text": ("TextInput", "Text Input")}
    for key, tweak in asked.tweaks.items():
        named = any(mark in key for mark in marks.get(asked.input_type, ()))
        if named and isinstance(tweak, Mapping) and INPUT in tweak:
            raise InputAndTweakClashError


def _tweaked(slots: Sequence[Slot], asked: Asked) -> dict[str, dict[str, Json]]:
    templates = {slot.id: dict(slot.template) for slot in slots}
    by_name = {slot.display_name: slot.id for slot in slots}
    everywhere = dict(asked.tweaks)
    if asked.stream is not None:
        everywhere.setdefault("stream", asked.stream)
    for key, tweak in everywhere.items():
        target = key if key in templates else by_name.get(key)
        if isinstance(tweak, Mapping) and "$secret" not in tweak:
            if target is not None:
                for field, value in tweak.items():
                    _set(templates[target], field, value)
        else:
            for template in templates.values():
                _set(template, key, tweak)
    return templates


def _set(template: dict[str, Json], name: str, value: Json) -> None:
    field = template.get(name)
    if not isinstance(field, Mapping) or name == SOURCE_CODE:
        return
    if field.get("type") == "NestedDict" and not _attributes(value):
        template[name] = {**field, "value": value}
    elif isinstance(value, Mapping) and "$secret" not in value:
        template[name] = {**field, **value}
    else:
        key = "file_path" if field.get("type") == "file" else "value"
        template[name] = {**field, key: value}


def _attributes(value: Json) -> bool:
    return isinstance(value, Mapping) and "value" in value


def _with_request(
    slot: Slot, template: dict[str, Json], asked: Asked, session: str
) -> Template:
    if SESSION in template and SESSION not in slot.wired:
        field = _field(template, SESSION)
        if asked.whole_run or not field.get("value"):
            template[SESSION] = {**field, "value": session, "load_from_db": False}
    if asked.input_value is not None and takes_input(slot, asked):
        _put(template, INPUT, asked.input_value)
    if asked.files and CHAT_INPUT in slot.id and "files" in template:
        _put(template, "files", list(asked.files))
    return template


def _put(template: dict[str, Json], name: str, value: Json) -> None:
    template[name] = {
        **_field(template, name),
        "value": value,
        "file_path": value,
        "load_from_db": False,
    }


def takes_input(slot: Slot, asked: Asked) -> bool:
    """Tell whether the request's input goes to this vertex."""
    if INPUT in slot.wired or not slot.is_input:
        return False
    if asked.components:
        return slot.id in asked.components or slot.display_name in asked.components
    if not asked.whole_run:
        return CHAT_INPUT in slot.id
    return asked.input_type == "any" or asked.input_type.lower() in slot.id.lower()


def _field(template: Template, name: str) -> Field:
    field = template.get(name)
    return field if isinstance(field, Mapping) else {}


def fields_of(
    template: Template, wired: Iterable[str]
) -> dict[str, Mapping[str, Json]]:
    """Return the fields whose value comes out of the template itself."""
    passed_over = {*wired, SOURCE_CODE, "_type"}
    return {
        name: field
        for name, field in template.items()
        if name not in passed_over and isinstance(field, Mapping) and _counts(field)
    }


def _counts(field: Field) -> bool:
    if field.get("show") is False or field.get("type") == UNTYPED:
        return False
    value = field.get("value")
    empty = value is None or value in ("", [], {})
    if empty and field.get("type") == "file":
        empty = not field.get("file_path")
    return not empty or bool(field.get("required"))


def variables_in(fields: Mapping[str, Field]) -> dict[str, str]:
    """Return the variables that fields name, by field."""
    return {
        name: str(field["value"])
        for name, field in fields.items()
        if field.get("load_from_db")
        and isinstance(field.get("value"), str)
        and field["value"]
    }


def converted(field: Field) -> Value:
    """Return a field's own value in the type that the field declares."""
    value = field.get("value")
    if field.get("type") == "file":
        return field.get("file_path") or value
    convert = CONVERSIONS.get(str(field.get("type")))
    return convert(value) if convert else value


def _number(value: Json, kind: type[int] | type[float]) -> Json:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        return kind(value)
    except (ValueError, OverflowError):
        return value


def _table(value: Json) -> Value:
    if not isinstance(value, list):
        return value
    return DataFrame(rows=[row for row in value if isinstance(row, dict)])


def _merged(value: Json) -> Json:
    if not isinstance(value, list):
        return value
    merged: dict[str, Json] = {}
    for item in value:
        if isinstance(item, Mapping):
            merged.update(item)
    return merged


def _unescaped(value: Json) -> Json:
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    if isinstance(value, str):
        return value.replace("\\n", "\n").replace("\\t", "\t")
    return value


CONVERSIONS: Mapping[str, Callable[[Json], Value]] = {
    "int": lambda value: _number(value, int),
    "float": lambda value: _number(value, float),
    "slider": lambda value: _number(value, float),
    "bool": bool,
    "dict": _merged,
    "NestedDict": _merged,
    "table": _table,
    "str": _unescaped,
}


def arrived(field: Field, values: Sequence[Value]) -> Value:
    """Return what came in over edges: the list of all, or the last for one place."""
    if not field.get("list"):
        return values[-1]
    return [
        item
        for value in values
        for item in (value if isinstance(value, list) else [value])
    ]
