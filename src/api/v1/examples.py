"""Flows that nobody owns, for people to begin from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self
from uuid import NAMESPACE_URL, uuid5

import msgspec

from api.v1.flow_shapes import FlowHead, FlowRead
from api.v1.system import PACKAGE
from domain.kernel import Json


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """The examples as front ends read them: whole (also as JSON), and their heads."""

    flows: tuple[FlowRead, ...]
    listed: bytes
    heads: tuple[FlowHead, ...]

    @classmethod
    def of(cls, starters: Sequence[dict[str, Json]]) -> Self:
        """Return *starters* as flows without an owner."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        flows = tuple(_example(starter, now) for starter in starters)
        return cls(
            flows=flows,
            listed=msgspec.json.encode(flows),
            heads=tuple(_head(flow) for flow in flows),
        )


def _example(starter: dict[str, Json], now: str) -> FlowRead:
    return FlowRead(
        name=starter["name"],
        description=starter["description"],
        icon=starter["icon"],
        icon_bg_color=None,
        gradient=starter["gradient"],
        data=starter["data"],
        is_component=False,
        updated_at=now,
        webhook=False,
        endpoint_name=None,
        tags=starter["tags"],
        locked=False,
        mcp_enabled=False,
        action_name=None,
        action_description=None,
        access_type="PUBLIC",
        id=uuid5(NAMESPACE_URL, f"{PACKAGE}/{starter['name']}"),
        user_id=None,
        folder_id=None,
    )


def _head(flow: FlowRead) -> FlowHead:
    known = {
        name: getattr(flow, name)
        for name in FlowHead.__struct_fields__
        if name != "data"
    }
    return FlowHead(**known, data=None)
