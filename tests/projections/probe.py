"""A projection for tests: it counts what happens to projects, and can be upset."""

from collections.abc import Sequence
from typing import override
from uuid import UUID

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, Uuid, select

from application.ports import Recorded
from domain.project.events import ProjectOpened, ProjectRenamed
from domain.thread.events import ThreadOpened
from projections.projector import Projector
from projections.reading import Views
from projections.rows import Rows
from tests.projections.journal import OWNER

METADATA = MetaData()
PROBES = Table(
    "probes",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("events", BigInteger, nullable=False),
)
POISON = "poison"


class PoisonError(Exception):
    """The probe was told to choke on this."""


class Probe(Projector):
    name = "probe"
    version = 1
    tables = METADATA
    reads = (ProjectOpened, ProjectRenamed, ThreadOpened)

    def __init__(self) -> None:
        self.poisonous = True
        self.batches: list[list[int]] = []

    @override
    def needs(self, batch: Sequence[Recorded]) -> dict[Table, list[tuple[UUID]]]:
        return {PROBES: [(recorded.stream,) for recorded in batch]}

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        self.batches.append([recorded.position for recorded in batch])
        for recorded in batch:
            name = getattr(recorded.event, "name", "thread")
            if name.startswith(POISON) and self.poisonous:
                raise PoisonError(name)
            before = rows.get(PROBES, recorded.stream)
            # Unlike any real one it counts, so that a fact taken twice would show.
            count = before["events"] + 1 if before else 1
            rows.put(PROBES, id=recorded.stream, name=name, events=count)


class ProbeViews(Views):
    async def all(self) -> dict[UUID, tuple[str, int]]:
        rows = await self._all(select(PROBES))
        return {row.id: (row.name, row.events) for row in rows}


def named(name: str) -> ProjectOpened:
    return ProjectOpened(owner=OWNER, name=name)


def renamed(name: str) -> ProjectRenamed:
    return ProjectRenamed(name=name)
