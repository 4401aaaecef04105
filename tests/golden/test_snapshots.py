"""A snapshot says what the events before it made: today's rules, today's number."""

import json
from typing import Any, get_args

import msgspec
import pytest

from domain.flow.events import FlowCreated, FlowEvent
from domain.kernel import Aggregate
from domain.snapshots import Shape
from tests.golden.snapshots import SHAPES, file_of, story_of, told

HOW = "raise the number of its shape; see tests/golden/snapshots.py"
NOT_STATE = {"id", "version", "_recorded"}


@pytest.fixture(params=sorted(SHAPES))
def topic(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def known(aggregate: Aggregate[Any]) -> dict[str, Any]:
    return {k: v for k, v in vars(aggregate).items() if k not in NOT_STATE}


def shape_of(topic: str) -> tuple[type[Aggregate[Any]], Shape]:
    return SHAPES[topic]


def test_a_story_comes_to_what_it_came_to_when_the_number_was_given(
    topic: str,
) -> None:
    kind, shape = shape_of(topic)
    came_to = msgspec.json.encode(shape.taken(told(kind, story_of(topic))))

    assert file_of(shape).exists(), HOW
    promised = json.loads(file_of(shape).read_text("utf-8"))
    assert json.loads(came_to) == promised, HOW


def test_nothing_that_an_aggregate_knows_is_left_out(topic: str) -> None:
    kind, shape = shape_of(topic)
    aggregate = told(kind, story_of(topic))

    assert set(known(aggregate)) == set(shape.state.__struct_fields__), HOW


def test_it_is_the_same_after_it_was_a_snapshot_at_any_place(topic: str) -> None:
    kind, shape = shape_of(topic)
    story = story_of(topic)
    whole = told(kind, story)

    for place in range(1, len(story) + 1):
        state = msgspec.json.encode(shape.taken(told(kind, story[:place])))
        resumed = kind(whole.id)
        shape.restored(resumed, msgspec.json.decode(state, type=shape.state))
        resumed.replay(*story[place:])
        assert known(resumed) == known(whole)


def test_the_story_of_a_flow_has_everything_that_can_happen_to_one() -> None:
    happened = {type(event) for event in story_of("flow")}

    assert happened == set(get_args(FlowEvent.__value__)) - {FlowCreated}
