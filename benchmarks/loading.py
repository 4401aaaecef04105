"""How fast a long stream is loaded, beside the library's repository."""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import override
from uuid import UUID, uuid4

from eventsourcing.application import Application
from eventsourcing.cipher import AESCipher
from eventsourcing.domain import Aggregate as LibraryAggregate, event
from eventsourcing.utils import get_topic

from application.ports import SYSTEM, Cause
from benchmarks._bench import Figures, bench_database, event_store, workplace
from benchmarks.append import application, cpu
from domain.project.project import Project
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database

LENGTHS = (10, 100, 1_000)
GOALS = {
    (1_000, "plain", "library"): "<0.1",
    (1_000, "sealed", "library with its cipher"): "<0.1",
}
WARM_UPS = 3

type Apps = tuple[Application[UUID], Application[UUID]]
type Load = Callable[[UUID], Awaitable[object]]


class Theirs(LibraryAggregate):
    """A project as the library would have it."""

    @event("Opened")
    def __init__(self, owner: UUID, name: str) -> None:
        self.owner = owner
        self.name = name

    @event("Renamed")
    def rename(self, name: str) -> None:
        self.name = name


class Nobodys(Project):
    """A project that is nobody's, so that its events are not sealed."""

    @property
    @override
    def subject(self) -> None:
        return None


async def stored(store: PostgresEventStore, kind: type[Project], length: int) -> UUID:
    project = kind.open(uuid4(), owner=uuid4(), name="A project")
    for number in range(length - 1):
        project.rename(f"A project of the name {number}")
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    await store.save(project, cause=cause)
    return project.id


def stored_there(app: Application[UUID], length: int) -> UUID:
    project = Theirs(owner=uuid4(), name="A project")
    for number in range(length - 1):
        project.rename(name=f"A project of the name {number}")
    app.save(project)
    return project.id


async def paced(load: Load, of: UUID, times: int) -> tuple[float, float]:
    """Return milliseconds a load (the median), and milliseconds of our CPU."""
    for _ in range(WARM_UPS):
        await load(of)
    took, began = [], cpu()
    for _ in range(times):
        before = time.perf_counter()
        await load(of)
        took.append(time.perf_counter() - before)
    return statistics.median(took) * 1e3, (cpu() - began) / times * 1e3


class Sealed(Application[UUID]):
    """The library's application with its own cipher: one key for everything."""


async def measure(database: Database, apps: Apps, given: argparse.Namespace) -> None:
    store, figures = event_store(database), Figures()
    await store.start()

    async def sealed(of: UUID) -> object:
        return await store.load(Project, of)

    async def bare(of: UUID) -> object:
        return await store.load(Nobodys, of)

    async def library(of: UUID) -> object:
        return apps[0].repository.get(of)

    async def its_cipher(of: UUID) -> object:
        return apps[1].repository.get(of)

    for length in LENGTHS:
        loads: dict[str, tuple[Load, UUID]] = {
            "sealed": (sealed, await stored(store, Project, length)),
            "plain": (bare, await stored(store, Nobodys, length)),
            "library": (library, stored_there(apps[0], length)),
            "library with its cipher": (its_cipher, stored_there(apps[1], length)),
        }
        times = max(given.loads // length, 10)
        for _ in range(given.rounds):
            took = {name: await paced(*load, times) for name, load in loads.items()}
            note(figures, length, took)
    await store.stop()
    figures.show(as_json=given.json)


def note(figures: Figures, length: int, took: dict[str, tuple[float, float]]) -> None:
    of = f"a stream of {length:,} events"
    for name, (wall, cpu_time) in took.items():
        figures.note(f"{of}, {name}: time", wall, "ms")
        figures.note(f"{of}, {name}: CPU", cpu_time, "ms")
    for ours, theirs in (
        ("plain", "library"),
        ("sealed", "library"),
        ("sealed", "library with its cipher"),
    ):
        share = took[ours][1] / took[theirs][1]
        goal = GOALS.get((length, ours, theirs), "")
        figures.note(f"{of}, {ours}: CPU of {theirs}'s", share, "x", goal)


async def run(url: str, apps: Apps, given: argparse.Namespace) -> None:
    await migrate(url)
    database = await Database.open(url, pool_size=2)
    try:
        await measure(database, apps, given)
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loads", type=int, default=20_000, help="events a round")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.rounds = 1
    with workplace() as home, EmbeddedPostgres(home / "server") as server:
        url = bench_database(server)
        cipher = {
            "CIPHER_TOPIC": get_topic(AESCipher),
            "CIPHER_KEY": AESCipher.create_key(num_bytes=32),
        }
        with application(server) as app, application(server, Sealed, **cipher) as own:
            asyncio.run(run(url, (app, own), given))


if __name__ == "__main__":
    main()
