"""Nothing is lost, doubled or out of order, however many write and however late."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from psycopg import AsyncConnection

from application.ports import Recorded
from domain.kernel import Log
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.resilience.writers import SHARED, Acknowledged

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.timeout(1800),
]

BUDGET = int(os.environ.get("CHAOS_EVENTS", "8000"))
"""How many events are written, over both logs."""
PROCESSES = 4
TASKS = 4
ROOT = Path(__file__).parents[2]

DELAYS = """
CREATE FUNCTION es.be_late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < {share} THEN PERFORM pg_sleep(random() * 0.1); END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER be_late AFTER INSERT ON es.{log}_events
    FOR EACH STATEMENT EXECUTE FUNCTION es.be_late();
"""
"""Positions are drawn by then, and the commit comes later: what loses events."""


async def make_late(database: Database, log: Log, *, share: float) -> None:
    async with await AsyncConnection.connect(
        database.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute(DELAYS.format(log=log, share=share).encode())


async def written(
    database: Database, log: Log, *, budget: int, unlocked: bool = False
) -> list[Acknowledged]:
    """Write by several processes and return what each was told."""
    words = ["--tasks", str(TASKS), "--budget", str(budget // PROCESSES)]
    if unlocked:
        words.append("--unlocked")
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.resilience.writers", database.dsn, log, *words),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]
    told = await asyncio.gather(*(process.communicate() for process in processes))
    assert [process.returncode for process in processes] == [0] * PROCESSES
    return [msgspec.json.decode(out, type=Acknowledged) for out, _ in told]


async def tail(database: Database, log: Log, ended: asyncio.Event) -> list[Recorded]:
    """Read on by position, as a projection does, until the end and a last look."""
    store = PostgresEventStore(database)
    seen: list[Recorded] = []
    while True:
        last = ended.is_set()
        while page := await store.read_log(
            log, after=seen[-1].position if seen else 0, limit=500
        ):
            seen.extend(page)
        if last:
            return seen
        await asyncio.sleep(0)


async def observed(
    database: Database, log: Log, *, budget: int, unlocked: bool = False
) -> tuple[list[Acknowledged], list[Recorded]]:
    ended = asyncio.Event()
    reading = asyncio.create_task(tail(database, log, ended))
    told = await written(database, log, budget=budget, unlocked=unlocked)
    ended.set()
    return told, await reading


def expected(told: list[Acknowledged]) -> Iterator[tuple[UUID, int]]:
    """Yield every stream and version that somebody was told is stored."""
    for one in told:
        for stream, events in one.streams.items():
            yield from ((stream, version) for version in range(1, events + 1))
    shared = sum(one.shared for one in told)
    yield from ((SHARED, version) for version in range(1, shared + 1))


@pytest.mark.parametrize("log", ["core", "runs"])
async def test_a_reader_by_position_sees_each_event_once_and_in_order(
    database: Database, log: Log
) -> None:
    await make_late(database, log, share=0.01)

    told, seen = await observed(database, log, budget=BUDGET // 2)

    assert all(one.position < other.position for one, other in pairwise(seen))
    assert Counter((one.stream, one.version) for one in seen) == Counter(expected(told))
    versions: dict[UUID, int] = {}
    for one in seen:
        assert one.version == versions.get(one.stream, 0) + 1
        versions[one.stream] = one.version
    assert len(seen) >= BUDGET // 2
    assert sum(one.refused for one in told) > 0


async def test_without_the_lock_the_same_reader_loses_events(
    database: Database,
) -> None:
    """The proof that this test would notice."""
    await make_late(database, "core", share=0.1)

    told, seen = await observed(database, "core", budget=2000, unlocked=True)

    assert len(seen) < len(list(expected(told)))
