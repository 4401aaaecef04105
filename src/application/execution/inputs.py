"""How a field gets its value: edges first, then the template, variables, types."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import override

from domain.kernel import DomainError, Json
from domain.run.values import DataFrame, Value

type Template = Mapping[str, Json]
type Field = Mapping[str, Json]

SESSION = "session_id"
UNTYPED = "other"
SOURCE_CODE = "code"


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


class CredentialExposedError(DomainError):
    """A credential may only fill a field that its component keeps secret."""


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
