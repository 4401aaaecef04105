"""The hub: each event once, in order, whenever a reader comes."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import UUID, uuid4

import pytest

from domain.run.events import RunClaimed, RunSucceeded, VertexStarted
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.postgres import Database
from projections import hub as hubs
from projections.hub import RunHub
from projections.tail import Tail
from tests.projections.journal import Journal, until
from tests.projections.test_runs import requested

pytestmark = pytest.mark.server

STEP, END = VertexStarted(vertex="A"), RunSucceeded()


@pytest.fixture
async def hub(journal: Journal) -> AsyncIterator[RunHub]:
    hub = RunHub(journal.store)
    await hub.start()
    yield hub
    await hub.stop()


async def read(hub: RunHub, run: UUID, *, after_version: int = 0) -> list[int]:
    """Return the versions that a reader gets until the end."""
    return [
        recorded.version
        async for recorded in hub.follow(run, after_version=after_version)
    ]


async def test_readers_from_before_during_and_after_get_everything_once(
    journal: Journal, hub: RunHub
) -> None:
    run = uuid4()
    before = asyncio.create_task(read(hub, run))
    await asyncio.sleep(0)
    await journal.tell(run, requested(), RunClaimed(worker="w", attempt=1))
    during = asyncio.create_task(read(hub, run))
    await asyncio.sleep(0.01)
    await journal.tell(uuid4(), requested(), STEP)
    await journal.tell(run, STEP)
    await journal.tell(run, STEP, END)

    assert await before == await during == await read(hub, run) == [1, 2, 3, 4, 5]
    assert hub.readers == 0


async def test_a_reader_that_comes_back_gets_exactly_the_rest(
    journal: Journal, hub: RunHub
) -> None:
    run = uuid4()
    await journal.tell(run, requested(), STEP, STEP, END)

    assert await read(hub, run, after_version=2) == [3, 4]
    assert await read(hub, run, after_version=4) == []
    # Nobody was ever sent this: better everything than nothing for ever.
    assert await read(hub, run, after_version=99) == [1, 2, 3, 4]


async def test_a_slow_reader_reads_the_store_and_misses_nothing(
    journal: Journal, hub: RunHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "ROOM", 3)
    run, got = uuid4(), []
    await journal.tell(run, requested())
    async with aclosing(hub.follow(run)) as events:
        got.append((await anext(events)).version)
        for _ in range(20):
            await journal.tell(run, STEP)
        await asyncio.sleep(0.05)
        got += [(await anext(events)).version for _ in range(20)]
        await journal.tell(run, END)
        got.append((await anext(events)).version)
    assert got == list(range(1, 23))
    assert hub.readers == 0


async def test_readers_of_one_process_share_the_daemons_tail(
    database: Database,
) -> None:
    store = MemoryEventStore()
    tail = Tail(store, "runs")
    store.on_append.append(tail.told)
    await tail.start()
    hub = RunHub(store, tail=tail)
    await hub.start()
    run, journal = uuid4(), Journal(store, database)
    reader = asyncio.create_task(read(hub, run))
    await journal.tell(run, requested(), END)
    assert await reader == [1, 2]
    await hub.stop()
    await tail.stop()


@pytest.mark.slow
async def test_random_disconnects_lose_and_double_nothing(
    stored_journal: Journal,
) -> None:
    journal, run, steps = stored_journal, uuid4(), 150
    hub = RunHub(journal.store)
    await hub.start()

    async def restless(seed: int) -> list[int]:
        chance, got = random.Random(seed), list[int]()
        while not got or got[-1] < steps + 2:
            async with aclosing(
                hub.follow(run, after_version=got[-1] if got else 0)
            ) as events:
                async for recorded in events:
                    got.append(recorded.version)
                    if chance.random() < 0.2:
                        break
        return got

    readers = [asyncio.create_task(restless(seed)) for seed in range(10)]
    await journal.tell(run, requested())
    for _ in range(steps):
        await journal.tell(run, STEP)
    await journal.tell(run, END)

    for reader in readers:
        assert await reader == list(range(1, steps + 3))
    await until(lambda: hub.readers == 0)
    await hub.stop()
