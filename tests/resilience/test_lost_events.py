"""Nothing is lost, doubled or out of order, however many write, and are killed."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from psycopg import AsyncConnection

from application.ports import Recorded
from domain.kernel import Log
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import because
from tests.resilience.history import Happened, Seen, Told, check
from tests.resilience.writers import Word

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.chaos,
    pytest.mark.timeout(1800),
]

BUDGET = int(os.environ.get("CHAOS_EVENTS", "20000"))
"""How many events are acknowledged at least, over both logs."""
PROCESSES = 4
TASKS = 4
KILLED_EVERY = (1.0, 6.0)
"""Seconds from one writer's death to the next's."""
PAGE = 2000
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


class Writers:
    """Processes that write until they are stopped, and whose every word is kept."""

    def __init__(self, database: Database, log: Log, *, unlocked: bool) -> None:
        self.told = Told()
        self.keyed: set[UUID] = set()
        self.killed = 0
        self.enough = asyncio.Event()
        self._events = 0
        self._budget = 0
        self._command = [
            *(sys.executable, "-m", "tests.resilience.writers", database.dsn, log),
            *("--tasks", str(TASKS), *(("--unlocked",) if unlocked else ())),
        ]
        self._running: list[asyncio.subprocess.Process] = []
        self._hearing: list[asyncio.Task[None]] = []

    async def write(self, budget: int, *, killing: bool) -> None:
        """Have *budget* events written at least."""
        self._budget = budget
        for _ in range(PROCESSES):
            await self._start()
        while killing and not (self.killed and self.enough.is_set()):
            await asyncio.sleep(random.uniform(*KILLED_EVERY))
            await self._kill(random.randrange(PROCESSES))
        await self.enough.wait()
        for process in self._running:
            assert process.stdin
            process.stdin.close()
        await asyncio.gather(*self._hearing)
        ended = [await process.wait() for process in self._running]
        assert ended == [0] * PROCESSES

    async def _start(self) -> None:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._running.append(process)
        self._hearing.append(asyncio.create_task(self._hear(process)))

    async def _kill(self, which: int) -> None:
        process = self._running.pop(which)
        process.kill()
        await process.wait()
        self.killed += 1
        await self._start()

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        decode = msgspec.json.Decoder(Word).decode
        async for line in process.stdout:
            self._note(decode(line))

    def _note(self, word: Word) -> None:
        told = self.told
        match word.kind:
            case "means":
                told.meant[word.command] = word.number
                if word.keyed:
                    self.keyed.add(word.command)
            case "told":
                if word.command not in told.acknowledged:
                    self._events += told.meant[word.command]
                told.acknowledged[word.command] = word.number
                if self._events >= self._budget:
                    self.enough.set()
            case "refused":
                told.refused.add(word.command)


class Tail:
    """Reads on by position, as a projection does, until the end and a last look."""

    def __init__(self, store: PostgresEventStore, log: Log, seen: Seen) -> None:
        self._store = store
        self._log: Log = log
        self._seen = seen

    async def follow(self, ended: asyncio.Event) -> Seen:
        position = self._seen.after
        while True:
            last = ended.is_set()
            while page := await self._store.read_log(
                self._log, after=position, limit=PAGE
            ):
                self._seen.see(map(happened, page))
                position = page[-1].position
            if last:
                return self._seen
            await asyncio.sleep(0.002)


def happened(one: Recorded) -> Happened:
    command = UUID(one.metadata["command_id"])
    return Happened(one.position, one.stream, one.version, command)


class Observed(msgspec.Struct, frozen=True):
    """What was written, what was seen of it meanwhile, and what there is."""

    told: Told
    readers: Sequence[Seen]
    log: Sequence[Happened]
    killed: int
    keyed: set[UUID]


async def observed(
    database: Database, log: Log, *, budget: int, unlocked: bool = False
) -> Observed:
    """Write, and read meanwhile: from the start, from the middle, from the head."""
    store = PostgresEventStore(database)
    writers = Writers(database, log, unlocked=unlocked)
    ended = asyncio.Event()
    readers: list[asyncio.Task[Seen]] = []

    async def read(name: str, *, after: int) -> None:
        seen = Seen(name, after=after)
        readers.append(asyncio.create_task(Tail(store, log, seen).follow(ended)))

    await read("from the start", after=0)
    writing = asyncio.create_task(writers.write(budget, killing=not unlocked))
    while not writing.done() and len(readers) < 3:
        await asyncio.sleep(0.2)
        head = await store.head()
        position = head.core or head.runs
        if position > budget // 2:
            await read("from the head", after=position)
            await read("from the middle", after=position // 2)
    await writing
    ended.set()
    seen = await asyncio.gather(*readers)
    return Observed(
        writers.told, seen, await everything(store, log), writers.killed, writers.keyed
    )


async def everything(store: PostgresEventStore, log: Log) -> list[Happened]:
    found: list[Happened] = []
    while page := await store.read_log(
        log, after=found[-1].position if found else 0, limit=PAGE
    ):
        found += map(happened, page)
    return found


async def asked(database: Database, found: Observed) -> None:
    """Ask of each command that nobody heard of, and see that the answer is right."""
    store = PostgresEventStore(database)
    stored = {event.command for event in found.log}
    for command in found.told.unanswered() & found.keyed:
        saved = await store.outcome(because(key=command))
        assert (saved is not None) == (command in stored)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s")


@pytest.mark.parametrize("log", ["core", "runs"])
async def test_every_reader_sees_each_event_once_and_in_order(
    database: Database, log: Log
) -> None:
    await make_late(database, log, share=0.01)

    with timed(f"writing and reading {log}"):
        found = await observed(database, log, budget=BUDGET // 2)
    with timed("checking"):
        faults = check(found.told, found.log, found.readers)

    told = found.told
    print(
        f"{len(found.log)} events, {len(told.meant)} commands,"
        f" {len(told.refused)} refused, {len(told.unanswered())} unanswered,"
        f" {found.killed} writers killed"
    )
    assert faults == []
    assert told.events >= BUDGET // 2
    assert len(found.readers) == 3
    assert told.refused
    assert found.killed
    await asked(database, found)


async def test_without_the_lock_the_same_readers_lose_events(
    database: Database,
) -> None:
    """The proof that this test would notice."""
    await make_late(database, "core", share=0.1)
    faults: list[str] = []

    # Whether a reader looks just then is chance, of which a few rounds leave little.
    for _ in range(5):
        found = await observed(database, "core", budget=20_000, unlocked=True)
        faults += check(found.told, found.log, found.readers)
        if any("passed over position" in fault for fault in faults):
            return
    pytest.fail(f"no reader lost an event; seen was {faults[:5]}")
