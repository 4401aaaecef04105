"""Projects what vertices came to onto ``vertex_builds``, the newest of each."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, override
from uuid import uuid5

from sqlalchemy import Table

from application.ports import Recorded
from domain.flow.events import BuildsCleared, FlowDeleted
from domain.operation.events import VisitsRemoved
from domain.run.events import VertexBuilt, VertexFailed
from projections.contents import content_values
from projections.projector import Projector, UnwantedEventError
from projections.rows import Row, Rows
from projections.vertex_builds.tables import BUILDS, CLEARED, METADATA

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


class VertexBuildsProjector(Projector):
    """What the editor shows on each vertex when a flow is opened again."""

    name = "vertex_builds"
    version = 2
    tables = METADATA
    reads = (VertexBuilt, VertexFailed, BuildsCleared, FlowDeleted, VisitsRemoved)

    @override
    def needs(
        self, batch: Sequence[Recorded]
    ) -> Mapping[Table, Iterable[tuple[Any, ...]]]:
        return {
            CLEARED: [
                (recorded.event.flow,)
                for recorded in batch
                if isinstance(recorded.event, VertexBuilt | VertexFailed)
            ]
        }

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case VertexBuilt(flow=flow) | VertexFailed(flow=flow) if _is_gone(
                    rows.get(CLEARED, flow)
                ):
                    pass
                case VertexBuilt() | VertexFailed() as event:
                    rows.put(
                        BUILDS,
                        flow_id=event.flow,
                        vertex=event.vertex,
                        build_id=uuid5(recorded.stream, str(recorded.version)),
                        run_id=recorded.stream,
                        valid=isinstance(event, VertexBuilt),
                        at=recorded.at,
                        position=recorded.position,
                        **content_values(event.content),
                    )
                case BuildsCleared():
                    rows.put(CLEARED, flow_id=recorded.stream, at=recorded.at)
                case FlowDeleted():
                    rows.put(CLEARED, flow_id=recorded.stream, at=FOREVER)
                    rows.remove_where(BUILDS, flow_id=recorded.stream)
                case VisitsRemoved(flows=flows):
                    for flow in flows:
                        rows.remove_where(BUILDS, flow_id=flow)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _is_gone(cleared: Row | None) -> bool:
    return cleared is not None and cleared["at"] == FOREVER
