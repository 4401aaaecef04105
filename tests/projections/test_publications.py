"""Where flows are published, as it can be asked for."""

from uuid import UUID

import pytest

from domain.flow.events import FlowDeleted, FlowPublished, FlowUnpublished
from projections.publications.projector import PublicationsProjector
from projections.publications.views import PublicationViews
from tests.projections.journal import OWNER, Journal

pytestmark = pytest.mark.server

FLOW, OTHER_FLOW = UUID(int=1), UUID(int=2)
HERE, THERE = "https://one.example", "https://two.example"


def published(url: str = HERE, **more: object) -> FlowPublished:
    given: dict[str, object] = {
        "owner": OWNER,
        "platform": "openwebui",
        "platform_url": url,
        "external_id": "langbuilder_1",
        "model_name": "Mine",
    }
    return FlowPublished(**(given | more))  # type: ignore[arg-type]  # whatever a test gives


def withdrawn(url: str = HERE) -> FlowUnpublished:
    return FlowUnpublished(
        owner=OWNER,
        platform="openwebui",
        platform_url=url,
        external_id="langbuilder_1",
    )


async def test_a_place_has_one_record_whatever_happens_there(journal: Journal) -> None:
    views = PublicationViews(journal.database.engine)
    await journal.tell(FLOW, published(), published(model_name="Ours"))
    await journal.tell(FLOW, published(THERE, error="not ready"))
    await journal.tell(OTHER_FLOW, published())
    await journal.project(PublicationsProjector())

    there, here = await views.of_flow(FLOW)

    assert (here.status, here.model_name, here.error) == ("ACTIVE", "Ours", None)
    assert (there.status, there.error) == ("ERROR", "not ready")
    assert await views.active(OWNER) == [OTHER_FLOW, FLOW]


async def test_what_is_withdrawn_stays_on_record_and_a_deleted_flow_does_not(
    journal: Journal,
) -> None:
    views = PublicationViews(journal.database.engine)
    await journal.tell(FLOW, published(), withdrawn())
    await journal.tell(OTHER_FLOW, published(), FlowDeleted())
    await journal.project(PublicationsProjector())

    [record] = await views.of_flow(FLOW)

    assert record.status == "UNPUBLISHED"
    assert await views.of_flow(OTHER_FLOW) == []
    assert await views.active(OWNER) == []
