"""
The promises on disk: of every stored tag its schema, and an example a version.

``python -m tests.golden.promises`` (with ``PYTHONPATH=src:.``) writes what is missing
and rewrites the schemas. It never touches an example that exists: those are what
old logs hold. After a change of an event, look at the difference of its schema: a
new field with a default is fine, anything else needs a new schema version, an
upcaster, and an example of the new version.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from domain.catalogue import EVENT_TYPES, tag_of
from domain.kernel import Event
from infrastructure.event_store.mapper import MsgspecMapper

FOLDER = Path(__file__).parent / "examples"
TYPES = {tag_of(kind): kind for kind in EVENT_TYPES}
MAPPER = MsgspecMapper()

_SAMPLES: dict[type[inspect.Type], Any] = {
    inspect.AnyType: {"id": "A-1", "list": [1, 2.5, "œ", None, True]},
    inspect.StrType: "text",
    inspect.IntType: 3,
    inspect.BoolType: True,
    inspect.UUIDType: "01890a5d-ac96-774b-bcce-b302099a8057",
    inspect.DateTimeType: "2026-11-21T20:53:30.559564Z",
}


def schema_of(kind: type[Event]) -> Any:
    """Return the JSON schema of an event, without the prose."""
    schema = msgspec.json.encode(msgspec.json.schema(kind))
    return _without_prose(msgspec.json.decode(schema))


def schema_file(tag: str) -> Path:
    """Return where the schema of a tag is promised."""
    return FOLDER / f"{tag}.schema.json"


def example_of(kind: type[Event]) -> Event:
    """Return an event of *kind* in which every field holds something."""
    return msgspec.convert(_sample(inspect.type_info(kind)), type=kind, strict=False)


def write() -> None:
    """Write the schemas, and the examples that are missing."""
    FOLDER.mkdir(exist_ok=True)
    for tag, kind in TYPES.items():
        schema = json.dumps(schema_of(kind), indent=2, sort_keys=True)
        schema_file(tag).write_text(f"{schema}\n", "utf-8")
        _, version, state = MAPPER.encode(example_of(kind))
        example = FOLDER / f"{tag}.v{version}.example.json"
        if not example.exists():
            example.write_bytes(msgspec.json.format(state, indent=2) + b"\n")


def _sample(kind: inspect.Type) -> Any:
    match kind:
        case inspect.StructType(cls=cls, fields=fields, tag=tag):
            sample = {field.encode_name: _sample(field.type) for field in fields}
            return sample | ({cls.__struct_config__.tag_field: tag} if tag else {})
        case inspect.UnionType(types=types):
            return _sample(next(one for one in types if not _is_nothing(one)))
        case inspect.VarTupleType(item_type=item):
            return [_sample(item)]
        case inspect.DictType(key_type=key, value_type=value):
            return {_sample(key): _sample(value)}
        case inspect.LiteralType(values=values):
            return values[0]
        case _:
            return _SAMPLES[type(kind)]


def _is_nothing(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.NoneType) or "Unset" in type(kind).__name__


def _without_prose(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {
            key: _without_prose(value)
            for key, value in schema.items()
            if not (key == "description" and isinstance(value, str))
        }
    if isinstance(schema, list):
        return [_without_prose(one) for one in schema]
    return schema


if __name__ == "__main__":
    write()
