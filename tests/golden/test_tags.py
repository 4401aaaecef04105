"""Tags are for ever: unique, shaped alike, and each of the context it began in."""

import re

import pytest

from domain.aggregates import AGGREGATES, context_of
from domain.catalogue import EVENT_TYPES, UNIONS, tag_of
from tests.golden.promises import FOLDER, TYPES

SHAPE = re.compile(r"[a-z]+(_[a-z]+)*\.[a-z]+(_[a-z]+)*")
IRREGULAR = {"built", "forgotten", "rebuilt"}
SHIPPED = sorted(
    path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json")
)


def words_of(name: str) -> list[str]:
    return re.findall(r"[A-Z][a-z]*", name)


def test_a_tag_is_borne_by_one_event() -> None:
    assert len(TYPES) == len(EVENT_TYPES) == len(SHIPPED)


@pytest.mark.parametrize("tag", SHIPPED)
def test_a_tag_that_was_shipped_is_there_and_in_its_context(tag: str) -> None:
    kind = TYPES[tag]

    assert kind.__module__ == f"domain.{context_of(tag)}.events"
    assert context_of(tag) in AGGREGATES


@pytest.mark.parametrize("tag", SHIPPED)
def test_a_tag_is_a_context_and_what_has_been_done(tag: str) -> None:
    done = tag.partition(".")[2].split("_")

    assert SHAPE.fullmatch(tag)
    assert any(word.endswith("ed") or word in IRREGULAR for word in done)


@pytest.mark.parametrize("tag", SHIPPED)
def test_a_tag_says_the_same_as_its_class(tag: str) -> None:
    of, done = words_of(TYPES[tag].__name__), tag.partition(".")[2]

    assert "_".join(of).lower().endswith(done)


def test_a_context_has_one_union_of_events_and_one_aggregate() -> None:
    contexts = {context_of(tag_of(event)) for event in EVENT_TYPES}

    assert contexts == set(AGGREGATES)
    assert len(UNIONS) == len(AGGREGATES)
