"""How fast a real server runs flows and answers, beside what its parts could do."""

import argparse
import asyncio
import socket
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import uvloop

from application.ids import thread_id
from application.ports import SYSTEM, Cause
from benchmarks._bench import Figure, event_store, table, workplace
from benchmarks._serving import Client, Load, Server, connected, load
from benchmarks.append import INSERT, PEER, pgbench
from domain.kernel import Aggregate, Json
from domain.project.project import Project
from domain.thread.thread import Thread
from infrastructure.components.drawing import Drawing
from infrastructure.components.registry import BuiltinComponents
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.listener import Listener
from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import ADMIN_ROLE
from projections.all import ALL
from projections.daemon import Daemon

CLIENTS = 16
HEADERS = 1000
OWNER = uuid4()


def two_vertices() -> Json:
    """Return the smallest flow there is: what is said comes back."""
    drawing = Drawing(BuiltinComponents())
    heard = drawing.place("ChatInput-bench", "ChatInput", (0, 0))
    answer = drawing.place("ChatOutput-bench", "ChatOutput", (400, 0))
    drawing.connect(heard, "message", answer, "input_value")
    return drawing.document()


def three_vertices() -> Json:
    """Return a flow whose answer bears the name that a third vertex gives it."""
    drawing = Drawing(BuiltinComponents())
    heard = drawing.place("ChatInput-bench", "ChatInput", (0, 0))
    name = drawing.place("TextInput-bench", "TextInput", (0, 300), input_value="Echo")
    answer = drawing.place("ChatOutput-bench", "ChatOutput", (400, 0))
    drawing.connect(heard, "message", answer, "input_value")
    drawing.connect(name, "text", answer, "sender_name")
    return drawing.document()


TWO = "two vertices"
FLOWS: dict[str, Callable[[], Json]] = {
    TWO: two_vertices,
    "three vertices": three_vertices,
}


class Bench:
    """The measurements, in the order in which they disturb each other least."""

    def __init__(self, server: Server, given: argparse.Namespace) -> None:
        self.figures: list[Figure] = []
        self._server = server
        self._count: int = given.runs
        self._memory_runs: int = given.memory_runs
        self._token = ""
        self._flows: dict[str, str] = {}
        self._flow = TWO

    async def all(self) -> list[Figure]:
        self._note("first start, database made", await self._server.start(), "s")
        self._server.stop()
        self._note("warm start", await self._server.start(), "s", "<5")
        async with connected(self._server.port) as client:
            self._token = await client.sign_in()
        async with connected(self._server.port, self._token) as client:
            for name, document in FLOWS.items():
                made = {"name": name, "data": document()}
                answer = await client.post("/api/v1/flows/", made)
                self._flows[name] = answer["id"]
        whole = sum(self._server.memory())
        self._note("memory: just started, with PostgreSQL (PSS)", whole, "MB", "<250")
        await self._runs()
        await self._commands()
        await self._headers()
        await self._memory()
        await self._peers()
        return self.figures

    async def _runs(self) -> None:
        await self._load(self._run, clients=CLIENTS, count=100)
        for name in FLOWS:
            self._flow = name
            one = await self._load(self._run, clients=1, count=self._count // 3)
            self._note(f"{name}, one client: a run, median", one.median_ms, "ms")
            self._note(f"{name}, one client: server CPU a run", one.server_ms, "ms")
            many = await self._load(self._run, clients=CLIENTS, count=self._count)
            what = f"{name}, {CLIENTS} clients"
            self._note(f"{what}: runs", many.rate, "/s")
            self._note(f"{what}: a run, median", many.median_ms, "ms")
            goal = "<5" if name == TWO else ""
            self._note(f"{what}: server CPU a run", many.server_ms, "ms", goal)
            self._note(f"{what}: PostgreSQL CPU a run", many.postgres_ms, "ms")
        self._flow = TWO

    async def _commands(self) -> None:
        async def rename(client: Client, number: int) -> None:
            path = f"/api/v1/flows/{self._flows[self._flow]}"
            await client.patch(path, {"description": f"Number {number}"})

        async def read(client: Client, _: int) -> None:
            await client.get(f"/api/v1/flows/{self._flows[self._flow]}")

        changed = await self._load(rename, clients=1, count=200)
        self._note("a flow changed and readable, median", changed.median_ms, "ms")
        got = await self._load(read, clients=1, count=300)
        self._note("a flow read, median", got.median_ms, "ms")
        self._note("a flow read, server CPU", got.server_ms, "ms")

    async def _headers(self) -> None:
        document = two_vertices()
        async with connected(self._server.port, self._token) as client:
            for first in range(0, HEADERS, 100):
                names = [f"Flow {number}" for number in range(first, first + 100)]
                flows = [{"name": name, "data": document} for name in names]
                await client.post("/api/v1/flows/batch/", {"flows": flows})

        async def listed(client: Client, _: int) -> None:
            path = "/api/v1/flows/?get_all=true&header_flows=true"
            assert len(await client.get(path)) >= HEADERS

        got = await self._load(listed, clients=1, count=40)
        self._note(f"{HEADERS:,} flow headers, median", got.median_ms, "ms", "<20")
        self._note(f"{HEADERS:,} flow headers, server CPU", got.server_ms, "ms")

    async def _memory(self) -> None:
        ours, database = self._server.memory()
        self._note(f"memory: with {HEADERS:,} flows, server (PSS)", ours, "MB")
        self._note(
            f"memory: with {HEADERS:,} flows and PostgreSQL (PSS)",
            ours + database,
            "MB",
            "<250",
        )
        if self._memory_runs:
            await self._load(self._run, clients=CLIENTS, count=self._memory_runs)
            after, _ = self._server.memory()
            grown = (after - ours) / ours * 100
            what = f"memory: server's growth in {self._memory_runs:,} runs"
            self._note(what, grown, "%", "<10")

    async def _peers(self) -> None:
        async def health(client: Client, _: int) -> None:
            await client.get("/health")

        bare = await self._load(health, clients=CLIENTS, count=3000)
        self._note(f"limit: bare route, {CLIENTS} clients", bare.rate, "/s")
        self._note("limit: bare route, server CPU", bare.server_ms, "ms")
        running = EmbeddedPostgres.running(self._server.home)
        assert running is not None
        with psycopg.connect(
            running.url("postgres", role=ADMIN_ROLE), autocommit=True
        ) as connection:
            connection.execute("CREATE DATABASE bench")
        await self._waits(running)
        rate = await asyncio.to_thread(inserts, running, self._server.home.parent)
        self._note(f"limit: pgbench INSERT, {CLIENTS} clients", rate, "commits/s")

    async def _waits(self, running: EmbeddedPostgres) -> None:
        async with daemon_on(running.url("bench", role=ADMIN_ROLE)) as (store, daemon):
            for log, new in (("core", project), ("runs", thread)):
                waited = []
                for number in range(200):
                    saved = await store.save(new(number), cause=cause())
                    began = time.perf_counter()
                    assert await daemon.reached(saved.position, within=5)
                    waited.append((time.perf_counter() - began) * 1000)
                middle = statistics.median(waited)
                self._note(
                    f"read your writes, {log}: wait, median", middle, "ms", "<15"
                )

    async def _run(self, client: Client, number: int) -> None:
        body = {"input_value": f"hello {number}", "session_id": f"s{number % 50}"}
        answer = await client.post(f"/api/v1/run/{self._flows[self._flow]}", body)
        assert answer["outputs"]

    async def _load(
        self,
        ask: Callable[[Client, int], Awaitable[None]],
        *,
        clients: int,
        count: int,
    ) -> Load:
        return await load(self._server, self._token, ask, clients=clients, count=count)

    def _note(self, what: str, value: float, unit: str, goal: str = "") -> None:
        self.figures.append(Figure(what, round(value, 3), unit, goal))


@asynccontextmanager
async def daemon_on(url: str) -> AsyncIterator[tuple[PostgresEventStore, Daemon]]:
    await migrate(url)
    database = await Database.open(url)
    store, listener = (
        event_store(database),
        Listener(url),
    )
    await store.start()
    await listener.start()
    daemon = Daemon(database, store, ALL, listener)
    await daemon.start()
    try:
        yield store, daemon
    finally:
        await daemon.stop()
        await listener.stop()
        await store.stop()
        await database.close()


def project(number: int) -> Aggregate[Any]:
    return Project.open(uuid4(), owner=OWNER, name=f"A project {number}")


def thread(number: int) -> Aggregate[Any]:
    flow = uuid4()
    opened = Thread(thread_id(flow, str(number)))
    opened.open(flow=flow, session=str(number), owner=OWNER)
    return opened


def cause() -> Cause:
    return Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())


def inserts(running: EmbeddedPostgres, folder: Path) -> float:
    script = folder / "insert.sql"
    script.write_text(" ".join(INSERT.split()))
    url = running.url("bench", role=ADMIN_ROLE)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(PEER)
    return pgbench(running, script, CLIENTS, 3).commands


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--memory-runs", type=int, default=2000)
    parser.add_argument("--quick", action="store_true", help="a third of it all")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.runs, given.memory_runs = given.runs // 3, given.memory_runs // 3
    with workplace() as home:
        server = Server(home / "data", free_port())
        try:
            figures = uvloop.run(Bench(server, given).all())
        finally:
            server.stop()
    print(msgspec.json.encode(figures).decode() if given.json else table(figures))


if __name__ == "__main__":
    main()
