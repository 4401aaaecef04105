"""What can be stored so that it is read back as it was: finite, shallow, whole text."""

import math
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from application.ports.refusals import UnstorableError

DEEPEST = 500
"""Levels of nesting: what is deeper could be written here and not read there."""


def loose_fields(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the fields of *kind* that may hold any JSON, or a number with a point."""
    return tuple(
        field.name
        for field in msgspec.structs.fields(kind)
        if _loose(inspect.type_info(field.type), set())
    )


def refuse_unfit(event: msgspec.Struct, fields: tuple[str, ...]) -> None:
    """Raise `UnstorableError` if one of *fields* cannot be stored as it is."""
    level = [getattr(event, field) for field in fields]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return
    raise UnstorableError(f"it is nested more than {DEEPEST} levels deep")


def refuse_unwritable(*texts: str) -> None:
    """Raise `UnstorableError` if one of *texts* cannot be in a column of text."""
    for text in texts:
        if "\0" in text:
            raise UnstorableError("a text holds NUL")
        if not text.isascii():
            whole(text)


def whole(text: str) -> None:
    """Raise `UnstorableError` if *text* holds half a character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnstorableError("a text holds half a character") from error


def _inside(value: Any) -> Iterator[Any]:
    """Yield what is one level further in, where it can matter."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnstorableError(f"{value} is no number in JSON")
    elif isinstance(value, dict):
        yield from _containers(value.values())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from _containers(value)
    elif isinstance(value, msgspec.Struct):
        yield from _containers(
            getattr(value, field) for field in value.__struct_fields__
        )


def _containers(values: Any) -> Iterator[Any]:
    return (value for value in values if not isinstance(value, _PLAIN))


_PLAIN = (str, bool, int, bytes, type(None))


def _loose(kind: inspect.Type, seen: set[type]) -> bool:
    if isinstance(kind, inspect.AnyType | inspect.FloatType):
        return True
    parts: list[inspect.Type] = []
    match kind:
        case inspect.StructType(cls=cls, fields=fields) if cls not in seen:
            seen.add(cls)
            parts = [field.type for field in fields]
        case inspect.UnionType(types=types):
            parts = list(types)
        case inspect.DictType(key_type=key, value_type=value):
            parts = [key, value]
        case inspect.CollectionType(item_type=item):
            parts = [item]
        case inspect.TupleType(item_types=items):
            parts = list(items)
        case _:
            pass
    return any(_loose(part, seen) for part in parts)
