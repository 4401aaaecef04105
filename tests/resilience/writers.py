"""A process that writes to a log by several tasks and tells what was acknowledged."""

import argparse
import asyncio
import random
import sys
from uuid import UUID, uuid4

import msgspec

from application.ports import ConcurrencyError
from domain.kernel import Log
from infrastructure.event_store import statements
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import Named, Talk, because

SHARED = UUID("ff000000-0000-8000-8000-000000000001")
"""The stream that every writer appends to, anywhere."""


class Acknowledged(msgspec.Struct, frozen=True):
    """What one writer was told: how many events in streams of its own, and shared."""

    streams: dict[UUID, int]
    shared: int
    refused: int


class Writing(msgspec.Struct):
    """One task's work."""

    store: PostgresEventStore
    log: Log
    budget: int
    locked: bool = True
    streams: dict[UUID, int] = msgspec.field(default_factory=dict)
    shared: int = 0
    refused: int = 0

    async def write(self) -> None:
        written = 0
        # Without the lock, two processes would number a shared stream alike, and the
        # key would refuse that: there the order of the log alone is in question.
        kinds = ("stream", "stream", "conflict", *(("shared",) if self.locked else ()))
        while written < self.budget:
            match random.choice(kinds):
                case "stream":
                    written += await self.append(random.randint(1, 5))
                case "shared":
                    written += await self.append_shared()
                case _:
                    await self.conflict()

    async def append(self, events: int) -> int:
        named = Named(uuid4()) if self.log == "core" else Talk.opened()
        for number in range(events):
            named.call(str(number)) if isinstance(named, Named) else named.say("x")
        events = len(named.recorded)
        await self.store.save(named, cause=because())
        self.streams[named.id] = events
        return events

    async def append_shared(self) -> int:
        blind: Named | Talk
        if self.log == "core":
            blind = Named.called(str(self.shared), at=SHARED)
        else:
            blind = Talk(SHARED)
            blind.say(str(self.shared))
        await self.store.save(anywhere=[blind], cause=because())
        self.shared += 1
        return 1

    async def conflict(self) -> None:
        if not self.streams:
            return
        at = random.choice(list(self.streams))
        late = Named.called("late", at=at) if self.log == "core" else Talk.opened(at)
        try:
            await self.store.save(late, cause=because())
        except ConcurrencyError:
            self.refused += 1


async def write(
    dsn: str, log: Log, *, tasks: int, budget: int, locked: bool
) -> Acknowledged:
    database = await Database.open(dsn, pool_size=1)
    store = PostgresEventStore(database)
    await store.start()
    writers = [Writing(store, log, budget // tasks, locked) for _ in range(tasks)]
    await asyncio.gather(*(writer.write() for writer in writers))
    await store.stop()
    await database.close()
    return Acknowledged(
        {of: events for writer in writers for of, events in writer.streams.items()},
        sum(writer.shared for writer in writers),
        sum(writer.refused for writer in writers),
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dsn")
    parser.add_argument("log")
    parser.add_argument("--tasks", type=int, required=True)
    parser.add_argument("--budget", type=int, required=True)
    parser.add_argument("--unlocked", action="store_true")
    given = parser.parse_args()
    if given.unlocked:
        statements.SESSION["lock"] = b"SELECT %(key)s"
    acknowledged = asyncio.run(
        write(
            given.dsn,
            given.log,
            tasks=given.tasks,
            budget=given.budget,
            locked=not given.unlocked,
        )
    )
    sys.stdout.buffer.write(msgspec.json.encode(acknowledged))


if __name__ == "__main__":
    main()
