"""Projects the life of runs onto ``runs``."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, override

from sqlalchemy import Table

from application.ports import Recorded
from domain.operation.events import VisitsRemoved
from domain.run.events import (
    RunCancelled,
    RunCancelRequested,
    RunClaimed,
    RunFailed,
    RunRequested,
    RunSucceeded,
)
from domain.user.events import UserErased
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows
from projections.runs.tables import ERASED, METADATA, RUNS


class RunsProjector(Projector):
    """Which runs there are, and how they stand."""

    name = "runs"
    version = 2
    tables = METADATA
    reads = (
        RunRequested,
        RunClaimed,
        RunCancelRequested,
        RunSucceeded,
        RunFailed,
        RunCancelled,
        UserErased,
        VisitsRemoved,
    )

    @override
    def needs(
        self, batch: Sequence[Recorded]
    ) -> Mapping[Table, Iterable[tuple[Any, ...]]]:
        return {
            ERASED: [
                (recorded.event.owner,)
                for recorded in batch
                if isinstance(recorded.event, RunRequested)
            ]
        }

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case RunRequested(owner=owner) if rows.get(ERASED, owner):
                    pass
                case RunRequested() as event:
                    _request(recorded, event, rows)
                case RunClaimed():
                    _change(rows, recorded, status="claimed", claimed_at=recorded.at)
                case RunCancelRequested():
                    _change(rows, recorded, status="cancelling")
                case RunSucceeded():
                    _end(rows, recorded, "succeeded", recorded.at)
                case RunFailed(reason=reason):
                    _end(rows, recorded, "failed", recorded.at, reason=reason)
                case RunCancelled():
                    _end(rows, recorded, "cancelled", recorded.at)
                case UserErased() | VisitsRemoved():
                    _forget(recorded, rows)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _forget(recorded: Recorded, rows: Rows) -> None:
    match recorded.event:
        case VisitsRemoved(flows=flows):
            for flow in flows:
                rows.remove_where(RUNS, flow_id=flow)
        case _:
            rows.put(ERASED, owner=recorded.stream)
            rows.remove_where(RUNS, owner=recorded.stream)


def _request(recorded: Recorded, event: RunRequested, rows: Rows) -> None:
    rows.put(
        RUNS,
        id=recorded.stream,
        flow_id=event.flow,
        flow_name=event.flow_name,
        owner=event.owner,
        session=event.session,
        trigger=event.trigger,
        status="requested",
        flow_version=event.flow_version,
        requested_at=recorded.at,
        version=recorded.version,
        position=recorded.position,
    )


def _end(
    rows: Rows,
    recorded: Recorded,
    status: str,
    at: datetime,
    **values: Any,
) -> None:
    _change(rows, recorded, status=status, ended_at=at, **values)


def _change(rows: Rows, recorded: Recorded, **values: Any) -> None:
    rows.change(RUNS, recorded.stream, version=recorded.version, **values)
