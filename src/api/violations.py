"""What is wrong in a request, as clients of LangBuilder read it: where, and what."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from litestar import Request
from litestar.exceptions import ValidationException
from msgspec import inspect

ABSENT: Final = re.compile(r"Missing required (\w+) parameter '([^']+)'")
"""How Litestar says that a parameter was not sent."""
LACKING: Final = re.compile(r"Object missing required field `([^`]+)`$")
"""How msgspec says that the body lacks a key."""
PARSED: Final = {"Invalid UUID": "uuid_parsing"}
"""What pydantic calls what msgspec could not read; clients ask for it."""
SAID: Final = {"Input data was truncated": "JSON is malformed: it ends too early"}
"""What msgspec says in words that people would not look for in what they sent."""
NO_SUCH_WORD: Final = "Invalid enum value"
"""How msgspec says that a word is none of a few; which these are, it does not say."""

LISTS: Final = (
    inspect.ListType,
    inspect.VarTupleType,
    inspect.SetType,
    inspect.FrozenSetType,
)


def violations(
    request: Request[Any, Any, Any], error: ValidationException
) -> list[dict[str, Any]]:
    """Return what was found wrong in *request*, one entry for each place."""
    extra = error.extra if isinstance(error.extra, list) else []
    found = []
    for one in extra:
        where = one.get("source", "body")
        loc = [getattr(where, "value", where), *str(one.get("key", "")).split(".")]
        message = one.get("message", error.detail)
        if message == "'data'":  # Litestar's way of saying that there is no body
            found.append(violation("missing", ["body"], "Field required"))
        elif lacking := LACKING.match(message):
            within = [p for p in loc if p and p != "data"]
            found.append(violation("missing", [*within, lacking[1]], "Field required"))
        else:
            kind = PARSED.get(message, "value_error")
            loc = [p for p in loc if p]
            if message.startswith(NO_SUCH_WORD) and (few := _words(request, loc)):
                message = f"{message}: it is one of {', '.join(few)}"
            found.append(violation(kind, loc, message))
    if found:
        return found
    if absent := ABSENT.match(error.detail):
        where, name = absent.groups()
        return [violation("missing", [where, name], "Field required")]
    return [violation("value_error", ["body"], error.detail)]


def violation(kind: str, loc: list[str], message: str) -> dict[str, Any]:
    """Return one entry: of what kind, where, and in which words."""
    return {"type": kind, "loc": loc, "msg": SAID.get(message, message), "input": None}


def _words(request: Request[Any, Any, Any], loc: list[str]) -> list[str]:
    where, *path = loc
    if where == "body":
        path = ["data", *path]  # Litestar's name for the parameter that takes it
    here = [inspect.type_info(request.route_handler.signature_model)]
    for part in path:
        name, *items = part.split("[")
        here = [
            field.type
            for kind in _plain(here)
            if isinstance(kind, inspect.StructType)
            for field in kind.fields
            if field.encode_name == name
        ]
        for _ in items:
            here = [k.item_type for k in _plain(here) if isinstance(k, LISTS)]
    return [word for kind in _plain(here) for word in _few(kind)]


def _plain(kinds: Iterable[inspect.Type]) -> Iterator[inspect.Type]:
    for kind in kinds:
        if isinstance(kind, inspect.UnionType):
            yield from _plain(kind.types)
        elif isinstance(kind, inspect.Metadata):
            yield from _plain([kind.type])
        else:
            yield kind


def _few(kind: inspect.Type) -> list[str]:
    if isinstance(kind, inspect.EnumType):
        return [str(member.value) for member in kind.cls]
    return [*map(str, kind.values)] if isinstance(kind, inspect.LiteralType) else []
