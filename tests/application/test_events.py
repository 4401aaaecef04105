"""How an event is shown, also one that cannot be; and who and what is meant."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from application.events import NotATagError, check_tag, line_of, state_of
from application.ports import Recorded
from domain.flow.events import FlowRenamed
from domain.kernel import Event
from infrastructure.event_store.mapper import ErasedEvent, UnreadableEvent
from tests.golden.promises import TYPES
from tests.golden.snapshots import SHAPES, story_of, told

STREAM = uuid4()
AT = datetime(2026, 11, 25, tzinfo=UTC)


def recorded(event: Event) -> Recorded:
    return Recorded("core", STREAM, 2, 41, AT, event, {"actor": None})


def test_an_event_is_shown_with_its_envelope() -> None:
    line = line_of(recorded(FlowRenamed(name="x")))

    assert (line.tag, line.data, line.status) == (
        "flow.renamed",
        {"name": "x"},
        "readable",
    )
    assert (line.log, line.stream, line.version, line.position) == (
        *("core", STREAM, 2),
        41,
    )
    assert (line.at, line.metadata, line.reason) == (AT, {"actor": None}, None)


def test_of_an_unreadable_one_the_reason_is_shown() -> None:
    stands_in = UnreadableEvent(event_tag="flow.x", schema_version=2, reason="why")

    line = line_of(recorded(stands_in))

    assert (line.tag, line.status, line.data, line.reason) == (
        *("flow.x", "unreadable", None),
        "why",
    )


def test_of_an_erased_one_it_is_shown_that_it_was() -> None:
    line = line_of(recorded(ErasedEvent(event_tag="flow.renamed", subject=STREAM)))

    assert (line.tag, line.status, line.data, line.reason) == (
        *("flow.renamed", "erased", None),
        None,
    )


@pytest.mark.parametrize("tag", [*sorted(TYPES), "flow.", "a.b"])
def test_a_tag_or_the_beginning_of_tags_can_be_asked_for(tag: str) -> None:
    check_tag(tag)


@pytest.mark.parametrize(
    "tag", ["", ".", "flow", "Flow.renamed", "flow.renamed.", "%.%", "f\x00.x", "fl.'"]
)
def test_what_no_tag_is_like_is_refused(tag: str) -> None:
    with pytest.raises(NotATagError):
        check_tag(tag)


def test_a_state_is_json_and_names_secrets_by_reference() -> None:
    kind, _ = SHAPES["flow"]
    flow = told(kind, story_of("flow"))

    state = state_of(flow)

    assert state["name"] == "Answers"
    assert state["owner"] == "8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a"
    assert "$secret" in str(state["document"])
    assert not {"id", "version", "_recorded"} & state.keys()
