"""What may be decided about a flow."""

from typing import Any
from uuid import UUID

import pytest

from domain.flow.document import InvalidDocumentError
from domain.flow.events import (
    AccessChanged,
    BuildsCleared,
    EndpointNamed,
    FlowCreated,
    FlowDeleted,
    FlowDescribed,
    FlowImported,
    FlowLocked,
    FlowMoved,
    FlowRenamed,
    FlowUnlocked,
    McpExposureChanged,
    VertexAdded,
    VertexRemoved,
)
from domain.flow.flow import Flow, FlowDeletedError, NamelessFlowError, NotAnEditError
from domain.flow.names import InvalidEndpointNameError, next_endpoint, next_name
from domain.kernel import DomainError
from tests.domain.documents import vertex
from tests.specification import given

OWNER, PROJECT, ELSEWHERE = UUID(int=7), UUID(int=8), UUID(int=9)
EMPTY: dict[str, Any] = {"nodes": [], "edges": []}
CREATED = FlowCreated(owner=OWNER, project=PROJECT, name="Air", document=EMPTY)


def test_a_flow_begins_with_what_it_is_given() -> None:
    settings: dict[str, Any] = {"tags": ("a",), "webhook": True, "document": EMPTY}
    flow = Flow.create(
        UUID(int=1), owner=OWNER, project=PROJECT, name="Air", **settings
    )

    assert flow.collect() == [
        FlowCreated(owner=OWNER, project=PROJECT, name="Air", **settings)
    ]
    assert (flow.owner, flow.project, flow.name) == (OWNER, PROJECT, "Air")
    assert (flow.tags, flow.webhook, flow.access) == (("a",), True, "PRIVATE")
    assert flow.document == EMPTY


def test_a_flow_can_begin_from_a_file() -> None:
    flow = Flow.import_(
        UUID(int=1), owner=OWNER, project=PROJECT, name="Air", source_id="x"
    )

    assert flow.collect() == [
        FlowImported(owner=OWNER, project=PROJECT, name="Air", source_id="x")
    ]
    assert flow.document is None


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"name": ""}, NamelessFlowError),
        ({"name": "x", "document": {"nodes": []}}, InvalidDocumentError),
        ({"name": "x", "endpoint_name": "a b"}, InvalidEndpointNameError),
        ({"name": "x", "endpoint_name": "a\n"}, InvalidEndpointNameError),
    ],
)
def test_a_flow_cannot_begin_with_what_it_could_not_be(
    settings: dict[str, Any], error: type[DomainError]
) -> None:
    with pytest.raises(error):
        Flow.create(UUID(int=1), owner=OWNER, project=PROJECT, **settings)


def test_edits_are_made_together() -> None:
    added = (
        VertexAdded(vertex=vertex("A"), index=0),
        VertexAdded(vertex=vertex("B"), index=1),
    )

    given(Flow, CREATED).when(lambda f: f.edit(added)).then(*added)


def test_of_edits_that_do_not_fit_none_is_made() -> None:
    edits = VertexAdded(vertex=vertex("A"), index=0), VertexRemoved(vertex="Z")

    given(Flow, CREATED).when(lambda f: f.edit(edits)).then_refuses(DomainError)


def test_an_edit_cannot_leave_what_is_no_document() -> None:
    twice = [VertexAdded(vertex=vertex("A"), index=0)] * 2

    given(Flow, CREATED).when(lambda f: f.edit(twice)).then_refuses(
        InvalidDocumentError
    )


def test_only_edits_of_the_document_are_edits() -> None:
    given(Flow, CREATED).when(lambda f: f.edit([FlowDeleted()])).then_refuses(
        NotAnEditError
    )


def test_an_edit_tells_whether_a_webhook_can_start_it() -> None:
    flow = Flow(UUID(int=1))
    flow.replay(CREATED, VertexAdded(vertex=vertex("Webhook-1"), index=0))
    assert flow.webhook
    flow.replay(VertexRemoved(vertex="Webhook-1"))
    assert not flow.webhook


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (lambda f: f.rename("Water"), FlowRenamed(name="Water")),
        (lambda f: f.describe(icon="x", gradient=None), FlowDescribed(icon="x")),
        (lambda f: f.describe(tags=["a"]), FlowDescribed(tags=("a",))),
        (lambda f: f.move(ELSEWHERE), FlowMoved(project=ELSEWHERE)),
        (lambda f: f.name_endpoint("air"), EndpointNamed(endpoint_name="air")),
        (lambda f: f.set_access("PUBLIC"), AccessChanged(access="PUBLIC")),
        (lambda f: f.lock(), FlowLocked()),
        (
            lambda f: f.expose(mcp_enabled=True, action_name=None),
            McpExposureChanged(mcp_enabled=True),
        ),
    ],
)
def test_a_setting_changes_once(command: Any, event: Any) -> None:
    given(Flow, CREATED).when(command).then(event)
    given(Flow, CREATED, event).when(command).then_nothing_happens()


def test_a_locked_flow_can_be_unlocked() -> None:
    given(Flow, CREATED, FlowLocked()).when(lambda f: f.unlock()).then(FlowUnlocked())
    given(Flow, CREATED).when(lambda f: f.unlock()).then_nothing_happens()


def test_builds_can_be_cleared_at_any_time() -> None:
    given(Flow, CREATED).when(lambda f: f.clear_builds()).then(BuildsCleared())


def test_a_flow_is_not_called_nothing() -> None:
    given(Flow, CREATED).when(lambda f: f.rename("")).then_refuses(NamelessFlowError)


@pytest.mark.parametrize(
    "command",
    [
        lambda f: f.delete(),
        lambda f: f.edit([]),
        lambda f: f.rename("x"),
        lambda f: f.describe(),
        lambda f: f.move(ELSEWHERE),
        lambda f: f.name_endpoint(None),
        lambda f: f.set_access("PUBLIC"),
        lambda f: f.lock(),
        lambda f: f.unlock(),
        lambda f: f.expose(),
        lambda f: f.clear_builds(),
    ],
)
def test_a_deleted_flow_stays_as_it_was(command: Any) -> None:
    given(Flow, CREATED, FlowDeleted()).when(command).then_refuses(FlowDeletedError)


def test_a_taken_name_gets_the_next_number() -> None:
    assert next_name("Untitled", ["Other"]) == "Untitled"
    assert next_name("Untitled", ["Untitled"]) == "Untitled (1)"
    taken = ["Untitled", "Untitled (7)", "Untitled (x)", "Untitled (7) (9)"]
    assert next_name("Untitled", taken) == "Untitled (8)"
    assert next_name("Untitled (7)", ["Untitled (7)"]) == "Untitled (7) (1)"
    assert next_name("a.c", ["a.c", "abc (4)"]) == "a.c (1)"


def test_a_taken_endpoint_gets_the_next_number() -> None:
    assert next_endpoint("air", []) == "air"
    assert next_endpoint("air", ["air", "air-3", "airs-9"]) == "air-4"
    with pytest.raises(InvalidEndpointNameError):
        next_endpoint("a b", [])
