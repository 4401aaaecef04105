"""What one generation of a projection takes from its logs, and what it becomes."""

import asyncio
from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from application.ports import Recorded
from application.ports.refusals import UnreadableEventError
from domain.catalogue import EVENT_TYPES, tag_of
from infrastructure.event_store.mapper import ErasedEvent, UnreadableEvent
from projections.generations import schema_of
from projections.projector import Projector
from projections.rows import Rows
from projections.statements import Statement, preload, statements

KNOWN = frozenset(tag_of(event) for event in EVENT_TYPES)
"""The tags of every event that this server has a class for."""


class Intake:
    """
    Picks a projector's events out of a log, and turns them into SQL.

    An event that this server cannot read is wanted where it might matter: its tag is
    one of the projector's, or a new one of a context that it reads from.
    """

    def __init__(self, projector: Projector, generation: int) -> None:
        self.projector = projector
        self.schema = schema_of(projector.name, generation)
        self._wanted = projector.wanted
        self._tags = frozenset(tag_of(event) for event in projector.reads)
        self._contexts = frozenset(context_of(tag) for tag in self._tags)

    def wants(self, recorded: Recorded) -> bool:
        """Tell whether the projection must take *recorded* in before it goes on."""
        event = recorded.event
        if not isinstance(event, UnreadableEvent):
            return type(event) in self._wanted
        tag = event.event_tag
        return tag in self._tags or (
            tag not in KNOWN and context_of(tag) in self._contexts
        )

    async def fold(
        self, connection: AsyncConnection[Any], batch: Sequence[Recorded]
    ) -> list[Statement]:
        """Return what writes *batch*, after a look at the rows that it depends on."""
        for recorded in batch:
            if isinstance(recorded.event, UnreadableEvent):
                raise UnreadableEventError(recorded.event.reason)
        needs = self.projector.needs(batch)
        rows = Rows(await preload(connection, needs, schema=self.schema))
        stretch = self.projector.stretch
        for start in range(0, len(batch), stretch):
            self.projector.fold(batch[start : start + stretch], rows)
            await asyncio.sleep(0)
        made: list[Statement] = []
        for statement in statements(rows, schema=self.schema):
            made.append(statement)
            await asyncio.sleep(0)
        return made


def context_of(tag: str) -> str:
    """Return the context that a tag begins with."""
    return tag.partition(".")[0]


def tag_stored(recorded: Recorded) -> str:
    """Return the tag under which *recorded* lies in its log."""
    event = recorded.event
    if isinstance(event, UnreadableEvent | ErasedEvent):
        return event.event_tag
    return tag_of(type(event))
