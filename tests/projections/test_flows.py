"""Projects and flows, as they can be asked for."""

from uuid import UUID, uuid4

import msgspec
import pytest

from domain.flow.document import difference
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
    VertexConfigured,
)
from domain.kernel import Json
from domain.project.events import (
    ProjectDeleted,
    ProjectDescribed,
    ProjectMoved,
    ProjectOpened,
    ProjectRenamed,
)
from projections.flows.projector import FlowsProjector
from projections.flows.views import FlowViews
from projections.projects.projector import ProjectsProjector
from projections.projects.views import ProjectViews
from tests.projections.journal import OTHER, OWNER, Journal, ids

pytestmark = pytest.mark.server

PROJECT, FLOW = UUID(int=1), UUID(int=2)


def drawn(*names: str, text: str = "hi") -> Json:
    """A document with a vertex of each name."""
    nodes = [
        {"id": name, "position": {"x": 1, "y": 2}, "data": {"type": name, "text": text}}
        for name in names
    ]
    return {"nodes": nodes, "edges": [], "viewport": {"x": 0, "y": 0, "zoom": 1}}


def created(name: str = "Flow", **values: object) -> FlowCreated:
    given = {"owner": OWNER, "project": PROJECT, "name": name} | values
    return FlowCreated(**given)  # type: ignore[arg-type]  # whatever a test gives


@pytest.fixture
def views(journal: Journal) -> FlowViews:
    return FlowViews(journal.database.engine)


async def test_projects_are_shown_as_they_stand(journal: Journal) -> None:
    gone, parent = uuid4(), uuid4()
    await journal.tell(
        PROJECT,
        ProjectOpened(owner=OWNER, name="Starter Project"),
        ProjectDescribed(description="mine"),
        ProjectMoved(parent=parent),
        ProjectRenamed(name="Renamed"),
    )
    await journal.tell(gone, ProjectOpened(owner=OWNER, name="Gone"), ProjectDeleted())
    await journal.project(ProjectsProjector())

    projects = ProjectViews(journal.database.engine)
    assert ids(await projects.of(OWNER)) == [PROJECT]
    shown = await projects.named(OWNER, "Renamed")
    assert shown is not None
    assert shown == await projects.get(PROJECT)
    assert (shown.description, shown.parent) == ("mine", parent)
    assert await projects.named(OTHER, "Renamed") is None
    assert await projects.get(gone) is None


async def test_a_flow_is_shown_with_every_setting(
    journal: Journal, views: FlowViews
) -> None:
    elsewhere = uuid4()
    await journal.tell(
        FLOW,
        created(document={}, tags=("a", "b"), webhook=True),
        FlowRenamed(name="Named"),
        FlowDescribed(description="d", icon="i", tags=None),
        FlowMoved(project=elsewhere),
        EndpointNamed(endpoint_name="ep"),
        AccessChanged(access="PUBLIC"),
        FlowLocked(),
        McpExposureChanged(mcp_enabled=True, action_name="act"),
        BuildsCleared(),
    )
    await journal.project(FlowsProjector())

    flow = await views.get(FLOW)
    assert flow is not None
    assert (flow.name, flow.description, flow.icon) == ("Named", "d", "i")
    assert (flow.tags, flow.project, flow.endpoint_name) == (None, elsewhere, "ep")
    assert (flow.locked, flow.access, flow.webhook) == (True, "PUBLIC", True)
    assert (flow.mcp_enabled, flow.action_name) == (True, "act")
    assert (flow.version, flow.document) == (9, b"{}")
    assert await views.public(FLOW) == flow
    await journal.tell(FLOW, FlowUnlocked(), AccessChanged(access="PRIVATE"))
    await journal.project(FlowsProjector())
    assert await views.public(FLOW) is None


async def test_the_document_is_what_the_edits_made_of_it(
    journal: Journal, views: FlowViews
) -> None:
    first, last = drawn("A", "B"), drawn("B", "Webhook-1", text="bye\0")
    await journal.tell(FLOW, created(document=first))
    async with journal.followed_by(FlowsProjector()) as daemon:
        await journal.tell(FLOW, *difference(first, last))
        assert await daemon.reached(journal.position, within=30)
        await journal.tell(FLOW, *difference(last, drawn("Webhook-1")))
        assert await daemon.reached(journal.position, within=30)

    flow = await views.get(FLOW)
    assert flow is not None
    assert msgspec.json.decode(flow.document) == drawn("Webhook-1")
    assert flow.webhook


async def test_a_deleted_flow_is_not_shown(journal: Journal, views: FlowViews) -> None:
    await journal.tell(FLOW, created(document=drawn("A")))
    await journal.project(FlowsProjector())
    edit = difference(drawn("A"), drawn("B"))
    await journal.tell(FLOW, *edit, FlowDeleted())
    await journal.project(FlowsProjector())

    assert await views.get(FLOW) is None


async def test_headers_carry_documents_of_components_alone(
    journal: Journal, views: FlowViews
) -> None:
    part = uuid4()
    imported = FlowImported(
        owner=OWNER, project=PROJECT, name="Part", document={}, is_component=True
    )
    await journal.tell(FLOW, created(tags=("x",)))
    await journal.tell(part, imported)
    await journal.project(FlowsProjector())

    headers = await views.headers(OWNER)
    assert [(h.id, h.document, h.tags) for h in headers] == [
        (FLOW, None, ["x"]),
        (part, b"{}", None),
    ]
    assert ids(await views.headers(OWNER, components_only=True)) == [part]
    assert ids(await views.of_owner(OWNER, components_only=False)) == [FLOW]
    assert ids(await views.of_owner(OWNER, project=uuid4())) == []
    assert await views.headers(OTHER) == []
    assert ids(await views.many([part, uuid4(), FLOW, part])) == [part, FLOW]


async def test_pages_begin_with_what_was_edited_last(
    journal: Journal, views: FlowViews
) -> None:
    flows = [uuid4() for _ in range(3)]
    for number, flow in enumerate(flows):
        await journal.tell(flow, created(name=f"100% Flow {number}"))
    await journal.tell(flows[0], FlowRenamed(name="Edited"))
    await journal.project(FlowsProjector())

    page = await views.page(OWNER, PROJECT, page=1, size=2)
    assert (ids(page), page.total) == ([flows[0], flows[2]], 3)
    page = await views.page(OWNER, PROJECT, page=2, size=2)
    assert (ids(page), page.total) == ([flows[1]], 3)
    page = await views.page(OWNER, PROJECT, search="0% fLOW", is_component=False)
    assert (ids(page), page.total) == ([flows[2], flows[1]], 2)
    beyond = await views.page(OWNER, PROJECT, page=3, size=2)
    assert (ids(beyond), beyond.total) == ([], 3)
    assert await views.page(OWNER, PROJECT, search="_") == []
    assert await views.page(OWNER, PROJECT, is_component=True) == []


async def test_texts_that_no_table_takes_cannot_poison_a_flow(
    journal: Journal, views: FlowViews
) -> None:
    long = "long" * 2_000  # longer than an index over texts would take
    await journal.tell(FLOW, created(name="a\0b", description="\0", tags=("\0",)))
    await journal.tell(FLOW, EndpointNamed(endpoint_name=long))
    await journal.project(FlowsProjector())

    flow = await views.get(FLOW)
    assert flow is not None
    assert (flow.name, flow.description, flow.tags) == ("a\ufffdb", "\ufffd", ["\0"])
    assert flow.endpoint_name == long


async def test_an_edit_that_does_not_fit_holds_its_flow_alone(
    journal: Journal, views: FlowViews
) -> None:
    wrong = VertexConfigured(vertex="nobody", path=("data",), after=1)
    await journal.tell(FLOW, created(document=drawn("A")), wrong)
    await journal.tell(FLOW, FlowRenamed(name="held back"))
    other = uuid4()
    await journal.tell(other, created(name="Other"), FlowRenamed(name="goes on"))
    await journal.project(FlowsProjector())

    shown = await views.many([FLOW, other])
    assert [flow.name for flow in shown] == ["Flow", "goes on"]
