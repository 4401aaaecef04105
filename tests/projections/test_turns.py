"""While a page is decoded and folded, others have their turn in between."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import override
from uuid import UUID, uuid4

import pytest

from application.ports import Recorded
from domain.kernel import Event
from infrastructure.event_store.sealing import Keys, SealingMapper, Stored
from projections.rebuild import rebuild
from projections.rows import Rows
from tests.projections.journal import Journal
from tests.projections.probe import Probe, ProbeViews, named, renamed

pytestmark = pytest.mark.server

EVENTS = 1000
AT_A_STRETCH = 100


@asynccontextmanager
async def others() -> AsyncIterator[Callable[[], int]]:
    """Run somebody else, and return how often they had their turn."""
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(work())
    try:
        yield lambda: turns
    finally:
        task.cancel()


class Polite(Probe):
    """Notes the turn in which each slice is folded."""

    def __init__(self, turn: Callable[[], int]) -> None:
        super().__init__()
        self.turn = turn
        self.turns: list[int] = []

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        self.turns.append(self.turn())
        super().fold(batch, rows)


async def test_others_have_their_turn_while_a_page_is_folded(journal: Journal) -> None:
    stream = uuid4()
    await journal.tell(stream, named("0"), *map(renamed, map(str, range(1, EVENTS))))
    await journal.project(Probe())
    async with others() as turn:
        probe = Polite(turn)
        await rebuild(journal.database, journal.store, probe)

    assert [len(batch) for batch in probe.batches] == [AT_A_STRETCH] * 10
    assert len(set(probe.turns)) == len(probe.turns)
    views = await ProbeViews(journal.database.engine).all()
    assert views == {stream: (str(EVENTS - 1), EVENTS)}


async def test_others_have_their_turn_while_a_page_is_decoded(
    stored_journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored_journal.tell(uuid4(), *map(renamed, map(str, range(EVENTS))))
    decoded: list[int] = []
    async with others() as turn:
        read = SealingMapper.read

        def noted(
            mapper: SealingMapper, stream: UUID, stored: Stored, keys: Keys
        ) -> Event:
            decoded.append(turn())
            return read(mapper, stream, stored, keys)

        monkeypatch.setattr(SealingMapper, "read", noted)
        page = await stored_journal.store.read_log("core", limit=EVENTS)

    assert [getattr(one.event, "name", "") for one in page] == [
        str(number) for number in range(EVENTS)
    ]
    assert len(decoded) == EVENTS
    assert max(map(decoded.count, decoded)) == AT_A_STRETCH
