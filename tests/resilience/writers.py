"""A process that writes to a log by several tasks and tells what it was told."""

import argparse
import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from uuid import UUID, uuid4

import msgspec

from application.ports import Cause, ConcurrencyError, Saved
from domain.kernel import Log
from infrastructure.event_store import statements
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import Named, Talk, because

SHARED = UUID("ff000000-0000-8000-8000-000000000001")
"""The stream that every writer appends to, anywhere."""
MOST_EVENTS = 60
"""In one command."""
KEPT = 50
"""How many of its streams a task appends to again."""


class Word(msgspec.Struct, frozen=True, array_like=True):
    """One line that a writer says: of *command* it means, was told, was refused."""

    kind: Literal["means", "told", "refused"]
    command: UUID
    number: int = 0
    keyed: bool = False


def say(word: Word) -> None:
    """Tell the parent at once: whatever happens next, it knows."""
    os.write(sys.stdout.fileno(), msgspec.json.encode(word) + b"\n")


class Writing:
    """One task's work."""

    def __init__(self, store: PostgresEventStore, log: Log, *, locked: bool) -> None:
        self._store = store
        self._log: Log = log
        self._streams: list[Named | Talk] = []
        self._work = [self.open, self.open, self.grow, self.conflict, self.twice]
        if locked:
            # Without the lock, two processes would number a shared stream alike, and
            # the key would refuse that: there the order of the log alone is at stake.
            self._work.append(self.share)

    async def write(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await random.choice(self._work)()

    async def open(self) -> None:
        stream = self._new()
        await self._save(stream, because())
        self._streams = [stream, *self._streams[: KEPT - 1]]

    async def grow(self) -> None:
        if self._streams:
            stream = random.choice(self._streams)
            self._say_more(stream, random.randint(1, MOST_EVENTS))
            await self._save(stream, because())

    async def share(self) -> None:
        blind = Named(SHARED) if self._log == "core" else Talk(SHARED)
        self._say_more(blind, random.randint(1, 3))
        cause = because()
        events = len(blind.recorded)
        say(Word("means", cause.command_id, events))
        saved = await self._store.save(anywhere=[blind], cause=cause)
        self._told(cause, saved)

    async def conflict(self) -> None:
        if self._streams:
            late = self._new(at=random.choice(self._streams).id)
            await self._save(late, because())

    async def twice(self) -> None:
        """Send one command twice at once, as a client does that has lost patience."""
        stream = self._new()
        same = self._new(at=stream.id, events=len(stream.recorded))
        cause = because(key=uuid4())
        await asyncio.gather(
            self._save(stream, cause, keyed=True), self._save(same, cause, keyed=True)
        )

    async def _save(
        self, stream: Named | Talk, cause: Cause, *, keyed: bool = False
    ) -> None:
        events = len(stream.recorded)
        say(Word("means", cause.command_id, events, keyed))
        try:
            saved = await self._store.save(stream, cause=cause)
        except ConcurrencyError:
            say(Word("refused", cause.command_id))
        else:
            self._told(cause, saved)

    def _told(self, cause: Cause, saved: Saved) -> None:
        position = saved.position.core or saved.position.runs
        say(Word("told", cause.command_id, position))

    def _new(
        self, *, at: UUID | None = None, events: int | None = None
    ) -> Named | Talk:
        stream = Named(at or uuid4()) if self._log == "core" else Talk.opened(at)
        wanted = events or random.randint(1, MOST_EVENTS)
        self._say_more(stream, wanted - len(stream.recorded))
        return stream

    def _say_more(self, stream: Named | Talk, events: int) -> None:
        for number in range(events):
            if isinstance(stream, Named):
                stream.call(str(number))
            else:
                stream.say(str(number))


@asynccontextmanager
async def told_to_stop() -> AsyncIterator[asyncio.Event]:
    """Yield what is set once the parent closes our standard input."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    try:
        yield stop
    finally:
        loop.remove_reader(sys.stdin.fileno())


async def write(dsn: str, log: Log, *, tasks: int, locked: bool) -> None:
    database = await Database.open(dsn, pool_size=1)
    store = PostgresEventStore(database)
    await store.start()
    async with told_to_stop() as stop:
        writers = [Writing(store, log, locked=locked) for _ in range(tasks)]
        await asyncio.gather(*(writer.write(stop) for writer in writers))
    await store.stop()
    await database.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("log")
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--unlocked", action="store_true")
    given = parser.parse_args()
    if given.unlocked:
        statements.SESSION["lock"] = b"SELECT %(key)s"
    asyncio.run(
        write(given.dsn, given.log, tasks=given.tasks, locked=not given.unlocked)
    )


if __name__ == "__main__":
    main()
