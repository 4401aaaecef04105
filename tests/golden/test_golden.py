"""
What was stored once can be read for ever.

An event changed and a test here fails? Give a new field a default and run
``PYTHONPATH=src:. python -m tests.golden.promises``; anything else needs an upcaster.
Never edit an example: a log somewhere holds it.
"""

import json
from pathlib import Path

import msgspec
import pytest

from tests.golden.promises import (
    FOLDER,
    MAPPER,
    TYPES,
    example_of,
    schema_file,
    schema_of,
)

EXAMPLES = sorted(FOLDER.glob("*.example.json"))
HOW = "add a field with a default, or an upcaster; see tests/golden/promises.py"


def tag_and_version(path: Path) -> tuple[str, int]:
    tag, version = path.name.removesuffix(".example.json").rsplit(".v", 1)
    return tag, int(version)


@pytest.mark.parametrize("tag", sorted(TYPES))
def test_the_schema_of_an_event_is_the_one_we_promised(tag: str) -> None:
    assert schema_file(tag).exists(), HOW
    assert schema_of(TYPES[tag]) == json.loads(schema_file(tag).read_text("utf-8")), HOW


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_old_event_still_reads(path: Path) -> None:
    tag, version = tag_and_version(path)
    event = MAPPER.decode(tag, version, path.read_bytes())

    assert isinstance(event, TYPES[tag])
    assert MAPPER.decode(*MAPPER.encode(event)) == event


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_old_event_loses_nothing_on_the_way(path: Path) -> None:
    tag, version = tag_and_version(path)
    if version != MAPPER.encode(example_of(TYPES[tag])).schema_version:
        pytest.skip("an upcaster may change what it says")
    then = msgspec.json.decode(path.read_bytes())
    now = msgspec.json.decode(
        MAPPER.encode(MAPPER.decode(tag, version, path.read_bytes())).state
    )

    assert inside(then, now)


def inside(then: object, now: object) -> bool:
    if isinstance(then, dict) and isinstance(now, dict):
        return all(key in now and inside(then[key], now[key]) for key in then)
    return then == now


def test_every_event_has_an_example() -> None:
    assert {tag_and_version(path)[0] for path in EXAMPLES} == set(TYPES), HOW


def test_nothing_once_stored_has_been_forgotten() -> None:
    schemas = FOLDER.glob("*.schema.json")
    stored = {path.name.removesuffix(".schema.json") for path in schemas}

    assert stored <= set(TYPES)
