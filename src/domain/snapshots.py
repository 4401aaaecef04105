"""Which kinds of aggregate have snapshots, and how they become one and back."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from domain.flow import snapshot as of_flow
from domain.flow.flow import Flow
from domain.kernel import Aggregate


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """
    How one kind of aggregate becomes a snapshot and back, both pure.

    ``schema`` numbers the shape: a snapshot of another number counts as none. Only
    a kind whose events are all of one subject may have snapshots, for they are
    sealed, and erased, with that subject's key.
    """

    topic: str
    schema: int
    state: type[msgspec.Struct]
    taken: Callable[[Any], msgspec.Struct]
    restored: Callable[[Any, Any], None]


SNAPSHOTS: Mapping[type[Aggregate[Any]], Shape] = {
    Flow: Shape(
        topic="flow",
        schema=of_flow.SCHEMA,
        state=of_flow.FlowSnapshot,
        taken=of_flow.taken,
        restored=of_flow.restored,
    ),
}
