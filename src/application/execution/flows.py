"""Flows on their way into runs: the exact head version, for those who may run it."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, Final, Protocol, get_args, override
from uuid import UUID

import msgspec

from application.gathered import Gathered
from application.permissions import NotFoundError, Permissions
from application.ports import Actor, Claims, EventStore
from domain.flow.events import Access, FlowEvent, SignatureStyle
from domain.flow.flow import Flow
from domain.kernel import Json

KEPT = 64
FLOW_EVENTS: Final[tuple[type[Any], ...]] = get_args(FlowEvent.__value__)


class FlowToRun(msgspec.Struct, frozen=True, kw_only=True):
    """
    One version of a flow; its document holds secrets by reference.

    ``webhook_secret`` names the secret that deliveries are signed with, by the rules
    of ``webhook_style``, and ``webhook_open`` says that anybody may deliver.
    ``source`` is the flow that it is in truth, where ``id`` is what a visitor has of
    it.
    """

    id: UUID
    owner: UUID
    name: str
    version: int
    document: Json
    access: Access = "PRIVATE"
    webhook_secret: UUID | None = None
    webhook_style: SignatureStyle = "standard"
    webhook_open: bool = False
    source: UUID | None = None


class FlowsToRun(Protocol):
    """The flows that may be run."""

    async def head(self, actor: Actor, flow_id: UUID) -> FlowToRun:
        """Return *actor*'s flow as it stands now, or raise `NotFoundError`."""
        ...

    async def named(self, actor: Actor, identifier: str) -> FlowToRun:
        """Return *actor*'s flow by its id or endpoint name, as it stands now."""
        ...


class StoredFlows(FlowsToRun):
    """
    Flows out of their streams.

    The last ones used are kept and brought up to date by what was recorded since:
    a busy flow is not read from its beginning for every run.
    """

    def __init__(
        self, store: EventStore, permissions: Permissions, claims: Claims
    ) -> None:
        self._store = store
        self._permissions = permissions
        self._claims = claims
        self._kept: OrderedDict[UUID, Flow] = OrderedDict()
        self._gathered: dict[UUID, Gathered[UUID, Flow]] = {}

    @override
    async def head(self, actor: Actor, flow_id: UUID) -> FlowToRun:
        """Return *actor*'s flow as it stands now."""
        await self._permissions.require(actor, "flow", flow_id)
        gathered = self._gathered.get(flow_id)
        if gathered is None:
            gathered = self._gathered[flow_id] = Gathered(self._current)
        flow = await gathered.of(flow_id)
        if flow is None or flow.deleted:
            raise NotFoundError("flow", flow_id)
        return FlowToRun(
            id=flow.id,
            owner=flow.owner,
            name=flow.name,
            version=flow.version,
            document=flow.document,
            access=flow.access,
            webhook_secret=flow.webhook_secret,
            webhook_style=flow.webhook_style,
            webhook_open=flow.webhook_open,
        )

    @override
    async def named(self, actor: Actor, identifier: str) -> FlowToRun:
        """Return *actor*'s flow by its id or endpoint name."""
        try:
            flow_id: UUID | None = UUID(identifier)
        except ValueError:
            key = f"{actor.user}/{identifier}"
            flow_id = await self._claims.holder("endpoint", key)
        if flow_id is None:
            raise NotFoundError("flow", identifier)
        return await self.head(actor, flow_id)

    async def _current(self, ids: Sequence[UUID]) -> dict[UUID, Flow]:
        [flow_id] = ids
        kept = self._kept.get(flow_id)
        if kept is None or not await self._caught_up(kept):
            kept = await self._store.load(Flow, flow_id)
        self._kept[flow_id] = kept
        self._kept.move_to_end(flow_id)
        while len(self._kept) > KEPT:
            dropped, _ = self._kept.popitem(last=False)
            self._gathered.pop(dropped, None)
        return {flow_id: kept}

    async def _caught_up(self, kept: Flow) -> bool:
        """Replay what is new; false where something stands in for an event."""
        while news := await self._store.read_stream(
            "core", kept.id, after=kept.version
        ):
            for recorded in news:
                # One that cannot be read must not be passed over: who loads is told.
                if not isinstance(recorded.event, FLOW_EVENTS):
                    return False
                kept.replay(recorded.event)
                kept.version = recorded.version
        return True
