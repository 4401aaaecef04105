"""How fast projections follow and are rebuilt, beside the library's runner."""

import argparse
import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import uvloop

from application.ids import new_run_id, thread_id
from application.ports import SYSTEM, Cause
from benchmarks._bench import Figures, bench_database, event_store, share, workplace
from benchmarks._library import Library
from benchmarks._pace import Pace, Stopwatch
from domain.kernel import Aggregate, ContentRef
from domain.run.run import Run
from domain.thread.thread import Thread
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.listener import Listener
from infrastructure.event_store.migrate import migrate
from infrastructure.postgres import Database
from projections.all import ALL
from projections.daemon import Daemon
from projections.messages.projector import MessagesProjector
from projections.projector import Projector
from projections.rebuild import ensure, rebuild
from projections.runs.projector import RunsProjector
from projections.vertex_builds.projector import VertexBuildsProjector

MEASURED = (MessagesProjector(), VertexBuildsProjector(), RunsProjector())
EVENTS_A_RUN = 11
WRITERS = 48
FLOWS = 20
SESSIONS = 50
FLOW = [uuid4() for _ in range(FLOWS)]
OWNER = uuid4()


class Ours:
    """A log of runs, as two-vertex flows leave it, and the projectors that read it."""

    def __init__(self, database: Database, url: str) -> None:
        self.store = event_store(database)
        self._database = database
        self._url = url

    async def append(self, runs: int) -> int:
        """Append *runs* runs and what they said; return how many events that were."""
        left = iter(range(runs))

        async def writer() -> None:
            for number in left:
                await self._run(number)

        await asyncio.gather(*(writer() for _ in range(WRITERS)))
        return runs * EVENTS_A_RUN

    async def _run(self, number: int) -> None:
        flow, session = FLOW[number % FLOWS], f"Session {number % SESSIONS}"
        run = Run.request(
            new_run_id(),
            flow=flow,
            flow_name="Two vertices",
            owner=OWNER,
            session=session,
            trigger="run",
            request=content(),
            flow_version=1,
            first=("ChatInput-bench",),
            to_run=("ChatInput-bench", "ChatOutput-bench"),
        )
        await self._save(run)
        run.claim("a worker")
        await self._vertex(run, "ChatInput-bench", sender="User")
        await self._vertex(run, "ChatOutput-bench", sender="Machine")
        run.succeed(outputs=content())
        await self._save(run)

    async def _vertex(self, run: Run, vertex: str, *, sender: str) -> None:
        run.start_vertex(vertex)
        said, words = uuid4(), content()
        thread = Thread(thread_id(run.flow, run.session), owner=OWNER)
        run.emit(said, thread=thread.id, vertex=vertex, content=words)
        run.vertex_built(vertex, content=content(), duration_ms=3)
        thread.post(
            said,
            flow=run.flow,
            session=run.session,
            sender=sender,
            sender_name=sender,
            category="message",
            content=words,
            run=run.id,
            vertex=vertex,
        )
        await self._save(run, anywhere=[thread])

    async def _save(
        self, run: Run, anywhere: list[Aggregate[Any]] | None = None
    ) -> None:
        await self.store.save(run, cause=cause(), anywhere=anywhere or ())

    async def post(self, events: int) -> int:
        """Append *events* events of which each becomes one row of ``messages``."""
        left = iter(range(events))

        async def writer() -> None:
            for number in left:
                flow, session = FLOW[number % FLOWS], f"Session {number % SESSIONS}"
                thread = Thread(thread_id(flow, session), owner=OWNER)
                thread.post(
                    uuid4(),
                    flow=flow,
                    session=session,
                    sender="User",
                    sender_name="User",
                    category="message",
                    content=content(),
                )
                await self.store.save(cause=cause(), anywhere=[thread])

        await asyncio.gather(*(writer() for _ in range(WRITERS)))
        return events

    async def live(self, events: int, *projectors: Projector) -> Pace:
        """Let a daemon catch up with the last *events* events."""
        for projector in projectors:
            await ensure(self._database, self.store, projector)
        head = await self.store.head()
        daemon = Daemon(self._database, self.store, projectors)
        watch = Stopwatch()
        await daemon.start()
        try:
            if not await daemon.reached(head, within=120):
                raise TimeoutError("the daemon does not catch up")
            return watch.pace(events)
        finally:
            await daemon.stop()

    async def rebuilt(self, projector: Projector, events: int) -> Pace:
        """Build one projection anew from a log of *events* events."""
        watch = Stopwatch()
        await rebuild(self._database, self.store, projector)
        return watch.pace(events)

    async def waits(self, writers: int, count: int) -> list[float]:
        """Return the milliseconds from each save to when all views show it."""
        waited: list[float] = []
        left = iter(range(count))
        async with self._daemon() as daemon:

            async def writer() -> None:
                for number in left:
                    thread = Thread(thread_id(uuid4(), str(number)), owner=OWNER)
                    thread.open(flow=FLOW[0], session=str(number), owner=OWNER)
                    saved = await self.store.save(thread, cause=cause())
                    began = time.perf_counter()
                    if not await daemon.reached(saved.position, within=10):
                        raise TimeoutError("the views do not follow")
                    waited.append((time.perf_counter() - began) * 1000)

            await asyncio.gather(*(writer() for _ in range(writers)))
        return waited

    @asynccontextmanager
    async def _daemon(self) -> AsyncIterator[Daemon]:
        listener = Listener(self._url)
        await listener.start()
        daemon = Daemon(self._database, self.store, ALL, listener)
        await daemon.start()
        try:
            await daemon.reached(await self.store.head(), within=120)
            yield daemon
        finally:
            await daemon.stop()
            await listener.stop()


def content() -> ContentRef:
    return ContentRef(id=uuid4(), digest="0" * 64, size=400)


def cause() -> Cause:
    return Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())


class Bench:
    """The rounds: ours and the library's by turns, on one PostgreSQL."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.figures = Figures()
        self._given = given
        self._total = 0

    async def run(self, url: str) -> None:
        await migrate(url)
        database = await Database.open(url)
        ours, library = Ours(database, url), Library(url)
        await ours.store.start()
        try:
            await self._warm_up(ours, library)
            for _ in range(self._given.rounds):
                await self._live(ours, library)
                await self._rebuilds(ours)
                await self._waits(ours)
        finally:
            await ours.store.stop()
            await database.close()

    async def _warm_up(self, ours: Ours, library: Library) -> None:
        """Import, connect, create tables: all that is done once."""
        self._total += await ours.append(WRITERS)
        await ours.live(self._total, *MEASURED)
        last = await asyncio.to_thread(library.append, 22)
        await asyncio.to_thread(library.live, last, 22)

    async def _live(self, ours: Ours, library: Library) -> None:
        rounds, note = self._given.rounds, self.figures.note
        events = await ours.append(self._given.events // rounds // EVENTS_A_RUN)
        live = await ours.live(events, *MEASURED)
        note("runs: 3 projections catch up", live.rate, "events/s")
        note("runs: CPU", live.cpu, "µs/event")
        posts = await ours.post(self._given.events // rounds)
        one = await ours.live(posts, MEASURED[0])
        peer = self._given.peer_events
        last = await asyncio.to_thread(library.append, peer)
        slow = await asyncio.to_thread(library.live, last, peer)
        note("an upsert an event: ours", one.rate, "events/s")
        note("an upsert an event: our CPU", one.cpu, "µs/event")
        note("an upsert an event: library", slow.rate, "events/s")
        note("an upsert an event: library's CPU", slow.cpu, "µs/event")
        note(
            "an upsert an event: ours of the library's",
            one.rate / slow.rate,
            "times",
            ">20",
        )
        note(
            "an upsert an event: our CPU of the library's", one.cpu / slow.cpu, "times"
        )
        self._total += events + posts
        await ours.live(posts, *MEASURED)  # the others pass the posts over

    async def _rebuilds(self, ours: Ours) -> None:
        note, took, used = self.figures.note, 0.0, 0.0
        for projector in MEASURED:
            pace = await ours.rebuilt(projector, self._total)
            note(f"rebuild of {projector.name}", pace.rate, "events/s", ">10000")
            note(f"rebuild of {projector.name}: CPU", pace.cpu, "µs/event")
            took, used = took + 1 / pace.rate, used + pace.cpu
        note("rebuild of all 3, in turn", 1 / took, "events/s")
        note("rebuild of all 3, in turn: CPU", used, "µs/event")

    async def _waits(self, ours: Ours) -> None:
        for writers in (1, 16):
            waited = await ours.waits(writers, self._given.waits)
            what = f"read your writes, {writers} at once: extra wait"
            goal = "<15" if writers == 1 else ""
            self.figures.note(f"{what}, p50", share(waited, 0.5), "ms", goal)
            self.figures.note(f"{what}, p99", share(waited, 0.99), "ms")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=21_000)
    parser.add_argument("--peer-events", type=int, default=1100)
    parser.add_argument("--waits", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.events, given.peer_events, given.waits = 5500, 440, 100
        given.rounds = 1
    return given


def main() -> None:
    given = arguments()
    bench = Bench(given)
    with workplace() as home, EmbeddedPostgres(home / "server") as server:
        url = bench_database(server)
        uvloop.run(bench.run(url))
    bench.figures.show(as_json=given.json)


if __name__ == "__main__":
    main()
