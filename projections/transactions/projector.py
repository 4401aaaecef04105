"""Projects each reading of a vertex's result by another onto ``transactions``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, override
from uuid import uuid5

from sqlalchemy import Table

from application.ports import Recorded
from domain.flow.events import FlowDeleted
from domain.operation.events import VisitsRemoved
from domain.run.events import VertexBuilt, VertexFailed
from projections.contents import content_values
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows
from projections.transactions.tables import GONE, METADATA, RESULTS, TRANSACTIONS


class TransactionsProjector(Projector):
    """One row for each edge that was read, and one for each vertex that failed."""

    name = "transactions"
    version = 2
    tables = METADATA
    reads = (VertexBuilt, VertexFailed, FlowDeleted, VisitsRemoved)

    @override
    def needs(
        self, batch: Sequence[Recorded]
    ) -> Mapping[Table, Iterable[tuple[Any, ...]]]:
        return {
            GONE: [
                (recorded.event.flow,)
                for recorded in batch
                if isinstance(recorded.event, VertexBuilt | VertexFailed)
            ]
        }

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case VertexBuilt(flow=flow) | VertexFailed(flow=flow) if rows.get(
                    GONE, flow
                ):
                    pass
                case VertexBuilt() | VertexFailed() as event:
                    rows.put(
                        RESULTS,
                        run_id=recorded.stream,
                        flow_id=event.flow,
                        vertex=event.vertex,
                        **content_values(event.content),
                    )
                    _read(recorded, event, rows)
                case FlowDeleted():
                    rows.put(GONE, flow_id=recorded.stream)
                    rows.remove_where(TRANSACTIONS, flow_id=recorded.stream)
                    rows.remove_where(RESULTS, flow_id=recorded.stream)
                case VisitsRemoved(flows=flows):
                    for flow in flows:
                        rows.remove_where(TRANSACTIONS, flow_id=flow)
                        rows.remove_where(RESULTS, flow_id=flow)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _read(recorded: Recorded, event: VertexBuilt | VertexFailed, rows: Rows) -> None:
    told: list[tuple[str, str | None, str | None]] = [
        (source, event.vertex, None) for source in event.reads
    ]
    if isinstance(event, VertexFailed):
        told.append((event.vertex, None, event.reason))
    for ordinal, (vertex, target, error) in enumerate(told):
        rows.put(
            TRANSACTIONS,
            id=uuid5(recorded.stream, f"{recorded.version}.{ordinal}"),
            vertex_id=vertex,
            target_id=target,
            flow_id=event.flow,
            run_id=recorded.stream,
            status="success" if error is None else "error",
            error=error,
            at=recorded.at,
            position=recorded.position,
            ordinal=ordinal,
        )
