"""How fast commands are appended, beside pgbench's one-row INSERT and the library."""

import argparse
import asyncio
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import uvloop
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate as LibraryAggregate, event

from application.ports import SYSTEM, Cause
from benchmarks._bench import Figures, bench_database, event_store, workplace
from domain.project.project import Project
from infrastructure import postgres_binaries
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.migrate import migrate
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import ADMIN_ROLE

INSERT = """
INSERT INTO peer (originator_id, originator_version, topic, state, metadata) VALUES (
    gen_random_uuid(), 1, 'project.opened',
    decode(repeat('61', 90), 'hex'), decode(repeat('62', 150), 'hex')
);
"""
PEER = """
CREATE TABLE peer (
    originator_id      uuid        NOT NULL,
    originator_version bigint      NOT NULL,
    topic              text        NOT NULL,
    state              bytea       NOT NULL,
    metadata           bytea       NOT NULL,
    recorded_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    notification_id    bigserial   UNIQUE,
    PRIMARY KEY (originator_id, originator_version)
)
"""


class Rate(msgspec.Struct, frozen=True):
    """Commands a second, and the CPU of this process for each in microseconds."""

    commands: float
    cpu: float | None = None


class Named(LibraryAggregate):
    """The library's own way to say that a project was opened."""

    @event("Opened")
    def __init__(self, owner: str, name: str) -> None:
        self.owner = owner
        self.name = name


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def pgbench(server: EmbeddedPostgres, script: Path, clients: int, seconds: int) -> Rate:
    program = postgres_binaries.find().bin / "pgbench"
    address = server.url("bench", role=ADMIN_ROLE)
    said = subprocess.run(
        [
            *(program, "-n", "-M", "prepared", "-f", script),
            *("-T", str(seconds), "-c", str(clients), address),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    [rate] = [line.split()[2] for line in said.splitlines() if line.startswith("tps")]
    return Rate(float(rate))


async def ours(database: Database, clients: int, seconds: int) -> Rate:
    store = event_store(database)
    await store.start()
    until, began, done = time.perf_counter() + seconds, cpu(), 0

    async def client() -> None:
        nonlocal done
        owner = uuid4()
        while time.perf_counter() < until:
            project = Project.open(uuid4(), owner=owner, name="A project")
            cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
            await store.save(project, cause=cause)
            done += 1

    await asyncio.gather(*(client() for _ in range(clients)))
    used = cpu() - began
    await store.stop()
    return Rate(done / seconds, used / done * 1e6)


def library(app: Application[UUID], clients: int, seconds: int) -> Rate:
    until, began = time.perf_counter() + seconds, cpu()
    done = [0] * clients

    def client(number: int) -> None:
        while time.perf_counter() < until:
            app.save(Named(owner=str(uuid4()), name="A project"))
            done[number] += 1

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Rate(sum(done) / seconds, (cpu() - began) / sum(done) * 1e6)


@contextmanager
def application(
    server: EmbeddedPostgres, kind: type[Application[UUID]] = Application, **more: str
) -> Iterator[Application[UUID]]:
    words = psycopg.conninfo.conninfo_to_dict(server.url("bench", role=ADMIN_ROLE))
    app = kind(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": "bench",
            "POSTGRES_HOST": str(words["host"]),
            "POSTGRES_PORT": str(words.get("port") or ""),
            "POSTGRES_USER": str(words["user"]),
            "POSTGRES_PASSWORD": str(words.get("password") or ""),
            "POSTGRES_POOL_SIZE": "20",
            **more,
        }
    )
    try:
        yield app
    finally:
        app.close()


def measure(server: EmbeddedPostgres, script: Path, given: argparse.Namespace) -> None:
    url = server.url("bench", role=ADMIN_ROLE)

    async def once(clients: int) -> Rate:
        database = await Database.open(url, pool_size=2)
        try:
            return await ours(database, clients, given.seconds)
        finally:
            await database.close()

    def run_ours(clients: int) -> Rate:
        return uvloop.run(once(clients))  # as the server does

    asyncio.run(migrate(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(PEER)
    figures = Figures()
    with application(server) as app:
        for clients in given.clients:
            peers: dict[str, Callable[[], Rate]] = {
                "ours": partial(run_ours, clients),
                "pgbench": partial(pgbench, server, script, clients, given.seconds),
                "library": partial(library, app, clients, given.seconds),
            }
            for _ in range(given.rounds):
                note(figures, clients, {name: run() for name, run in peers.items()})
    figures.show(as_json=given.json)


GOALS = {16: ">0.4", 64: ">0.7"}


def note(figures: Figures, clients: int, rates: dict[str, Rate]) -> None:
    ours, theirs = rates["ours"], rates["library"]
    what = f"append, {clients} clients"
    share = ours.commands / rates["pgbench"].commands
    figures.note(f"{what}: commands", ours.commands, "/s")
    figures.note(f"{what}: of pgbench's INSERT", share, "x", GOALS.get(clients, ""))
    times = ours.commands / theirs.commands
    goal = ">8" if clients in GOALS else ""
    figures.note(f"{what}: of the library's save", times, "x", goal)
    if ours.cpu and theirs.cpu:
        goal = "<0.125" if clients in GOALS else ""
        figures.note(f"{what}: CPU", ours.cpu, "µs")
        figures.note(f"{what}: of the library's CPU", ours.cpu / theirs.cpu, "x", goal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.rounds = 1, 1
    with workplace() as home:
        script = home / "insert.sql"
        script.write_text(" ".join(INSERT.split()))
        with EmbeddedPostgres(home / "server") as server:
            bench_database(server)
            measure(server, script, given)


if __name__ == "__main__":
    main()
