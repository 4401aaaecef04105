"""Projects publishing and withdrawing onto ``publications``."""

from collections.abc import Sequence
from typing import override
from uuid import UUID, uuid5

from application.ports import Recorded
from domain.flow.events import FlowDeleted, FlowPublished, FlowUnpublished
from domain.user.events import UserErased
from projections.projector import Projector, UnwantedEventError
from projections.publications.tables import METADATA, PUBLICATIONS
from projections.rows import Rows


class PublicationsProjector(Projector):
    """One row a flow and place, from its first publication on."""

    name = "publications"
    tables = METADATA
    reads = (FlowPublished, FlowUnpublished, FlowDeleted, UserErased)

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            flow = recorded.stream
            match recorded.event:
                case FlowPublished() as event:
                    _publish(recorded, event, rows)
                case FlowUnpublished() as event:
                    rows.change(
                        PUBLICATIONS,
                        _id(flow, event.platform_url),
                        status="UNPUBLISHED",
                        last_sync_at=recorded.at,
                        error=None,
                    )
                case FlowDeleted():
                    rows.remove_where(PUBLICATIONS, flow_id=flow)
                case UserErased():
                    rows.remove_where(PUBLICATIONS, owner=flow)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _publish(recorded: Recorded, event: FlowPublished, rows: Rows) -> None:
    rows.put(
        PUBLICATIONS,
        id=_id(recorded.stream, event.platform_url),
        flow_id=recorded.stream,
        owner=event.owner,
        platform=event.platform,
        platform_url=event.platform_url,
        external_id=event.external_id,
        model_name=event.model_name,
        published_at=recorded.at,
        published_by=recorded.metadata.get("actor"),
        status="ERROR" if event.error else "ACTIVE",
        last_sync_at=recorded.at,
        error=event.error,
    )


def _id(flow: UUID, place: str) -> UUID:
    return uuid5(flow, place)
