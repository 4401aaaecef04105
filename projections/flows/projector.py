"""Projects every edit of a flow onto ``flows``, its whole document included."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args, override
from uuid import UUID

import msgspec
from msgspec import UNSET
from sqlalchemy import Table

from application.ports import Recorded
from domain.flow.document import DOCUMENT_EVENTS, apply, has_webhook
from domain.flow.events import (
    AccessChanged,
    BuildsCleared,
    EndpointNamed,
    FlowCreated,
    FlowDeleted,
    FlowDescribed,
    FlowEvent,
    FlowImported,
    FlowLocked,
    FlowMoved,
    FlowPublished,
    FlowRenamed,
    FlowUnlocked,
    FlowUnpublished,
    McpExposureChanged,
    WebhookAccessChanged,
    WebhookSecretChanged,
    WebhookSecretRemoved,
)
from domain.kernel import Event, Json
from domain.user.events import UserErased
from projections.flows.tables import FLOWS, METADATA
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows

_COPIED = (
    "owner",
    "project",
    "name",
    "description",
    "icon",
    "icon_bg_color",
    "gradient",
    "endpoint_name",
    "is_component",
    "webhook",
    "locked",
    "access",
    "mcp_enabled",
    "action_name",
    "action_description",
)


class FlowsProjector(Projector):
    """Flows as they stand: one row each, so a list need not replay any stream."""

    name = "flows"
    version = 2
    stretch = 1000  # documents are decoded and encoded once in each
    tables = METADATA
    reads = (*get_args(FlowEvent.__value__), UserErased)

    @override
    def needs(
        self, batch: Sequence[Recorded]
    ) -> Mapping[Table, Iterable[tuple[Any, ...]]]:
        edited = {
            recorded.stream: None
            for recorded in batch
            if isinstance(recorded.event, DOCUMENT_EVENTS)
        }
        for recorded in batch:
            if recorded.version == 1:
                edited.pop(recorded.stream, None)
        return {FLOWS: [(flow,) for flow in edited]}

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        documents: dict[UUID, Json] = {}
        for recorded in batch:
            event, flow = recorded.event, recorded.stream
            match event:
                case FlowCreated() | FlowImported():
                    documents[flow] = event.document
                    _create(recorded, event, rows)
                case FlowDeleted():
                    documents.pop(flow, None)
                    rows.remove(FLOWS, flow)
                case UserErased():
                    rows.remove_where(FLOWS, owner=flow)
                case (
                    BuildsCleared()
                    | FlowPublished()
                    | FlowUnpublished()
                    | WebhookSecretChanged()
                    | WebhookSecretRemoved()
                    | WebhookAccessChanged()
                ):
                    rows.change(FLOWS, flow, version=recorded.version)
                case _ if isinstance(event, DOCUMENT_EVENTS):
                    _edit(recorded, documents, rows)
                case _:
                    _change(rows, recorded, **_settings(event))
        # Encoded once a batch, however many edits there were.
        for flow, document in documents.items():
            rows.change(FLOWS, flow, document=msgspec.json.encode(document))


def _create(recorded: Recorded, event: FlowCreated, rows: Rows) -> None:
    rows.put(
        FLOWS,
        id=recorded.stream,
        tags=_tags(event.tags),
        created_at=recorded.at,
        updated_at=recorded.at,
        version=recorded.version,
        document=b"null",
        **{name: getattr(event, name) for name in _COPIED},
    )


def _edit(recorded: Recorded, documents: dict[UUID, Json], rows: Rows) -> None:
    flow = recorded.stream
    if flow not in documents:
        row = rows.get(FLOWS, flow)
        if row is None:
            return
        documents[flow] = msgspec.json.decode(row["document"])
    documents[flow] = apply(documents[flow], recorded.event)  # type: ignore[arg-type]  # a FlowEvent, as `reads` says
    _change(rows, recorded, webhook=has_webhook(documents[flow]))


def _settings(event: Event) -> dict[str, Any]:
    match event:
        case FlowLocked() | FlowUnlocked():
            return {"locked": isinstance(event, FlowLocked)}
        case (
            FlowRenamed()
            | FlowDescribed()
            | FlowMoved()
            | EndpointNamed()
            | AccessChanged()
            | McpExposureChanged()
        ):
            # Their fields bear the names of the columns; an absent one did not change.
            values = msgspec.structs.asdict(event)
            if "tags" in values and values["tags"] is not UNSET:
                values["tags"] = _tags(values["tags"])
            return {name: value for name, value in values.items() if value is not UNSET}
        case unwanted:
            raise UnwantedEventError(type(unwanted).__name__)


def _change(rows: Rows, recorded: Recorded, **values: Any) -> None:
    rows.change(
        FLOWS,
        recorded.stream,
        updated_at=recorded.at,
        version=recorded.version,
        **values,
    )


def _tags(tags: tuple[str, ...] | None) -> bytes | None:
    return None if tags is None else msgspec.json.encode(tags)
