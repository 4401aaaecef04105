"""Where a snapshot of a flow pays: loading long streams with one and without."""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any
from uuid import UUID, uuid4

from application.ports import SYSTEM, Cause
from benchmarks._bench import Figures, bench_database, workplace
from benchmarks.append import cpu
from domain.flow.canvas import split
from domain.flow.document import difference
from domain.flow.flow import Flow
from domain.kernel import Json
from infrastructure.components.starters import starter_flows
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.migrate import migrate
from infrastructure.event_store.snapshots import THRESHOLD
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.settings import load
from infrastructure.subject_keys import PostgresSubjectKeys

LENGTHS = (10, 50, 100, 200, 500, 1_000, 5_000)
SAVED = 10
"""How many events a save brings, at most."""
OWNER = uuid4()

type Loading = Callable[[UUID], Awaitable[Flow]]


class Measured(PostgresEventStore):
    """A store that takes snapshots when told to, and can do without."""

    async def keep(self, flow: UUID) -> None:
        await self._snapshots.take(Flow, flow)

    async def resumed(self, flow: UUID) -> Flow:
        found, _ = await self._loaded(Flow, flow, 2**62)
        return found

    async def whole(self, flow: UUID) -> Flow:
        aggregate = Flow(flow)
        await self._replay(aggregate, upto=2**62, rows=None)
        return aggregate


class Editor:
    """Somebody who moves vertices about and writes into their fields."""

    def __init__(self, document: Json) -> None:
        self._chance = Random(7)
        self.flow = Flow.create(
            uuid4(), owner=OWNER, project=uuid4(), name="Edited", document=document
        )

    def edit(self) -> None:
        document = dict(self.flow.document)
        nodes = document["nodes"] = list(document["nodes"])
        at = self._chance.randrange(len(nodes))
        nodes[at] = self._changed(nodes[at])
        self.flow.edit(difference(self.flow.document, document))

    def _changed(self, node: dict[str, Any]) -> dict[str, Any]:
        template = node["data"].get("node", {}).get("template", {})
        texts = [
            name
            for name, field in template.items()
            if isinstance(field, dict) and isinstance(field.get("value"), str)
        ]
        if not texts or self._chance.random() < 0.45:
            there = {axis: self._chance.randint(0, 2_000) for axis in "xy"}
            return node | {"position": there}
        name = self._chance.choice(texts)
        words = [*template[name]["value"].split(" ")[:60], str(self._chance.random())]
        self._chance.shuffle(words)
        field = template[name] | {"value": " ".join(words)}
        inner = node["data"]["node"] | {"template": template | {name: field}}
        return node | {"data": node["data"] | {"node": inner}}


async def written(store: PostgresEventStore, length: int) -> UUID:
    """Store a flow of so many events, as saves of an editor leave it."""
    document, _ = split(starter_flows()[1]["data"])
    editor = Editor(document)
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    while editor.flow.version < length:
        editor.edit()
        if len(editor.flow.recorded) >= SAVED or editor.flow.version >= length:
            await store.save(editor.flow, cause=cause)
    return editor.flow.id


async def paced(loading: Loading, flow: UUID, times: int) -> tuple[float, float]:
    """Return milliseconds a load (the median), and milliseconds of our CPU."""
    took, began = [], cpu()
    for _ in range(times):
        before = time.perf_counter()
        await loading(flow)
        took.append(time.perf_counter() - before)
    return statistics.median(took) * 1e3, (cpu() - began) / times * 1e3


async def measure(
    database: Database, keyring: Keyring, figures: Figures, given: argparse.Namespace
) -> None:
    store = Measured(database, PostgresSubjectKeys(database, keyring))
    await store.start()
    flows = {length: await written(store, length) for length in LENGTHS}

    for _ in range(given.rounds):
        for length, flow in flows.items():
            times = max(given.loads // length, 20)
            whole, whole_cpu = await paced(store.whole, flow, times)
            in_vain, _ = await paced(store.resumed, flow, times)
            await store.keep(flow)
            kept, kept_cpu = await paced(store.resumed, flow, times)
            async with database.pool.connection() as connection:
                await connection.execute("DELETE FROM es.snapshots")
            of, goal = f"{length:,} events", "<0.25" if length >= THRESHOLD else ""
            figures.note(f"{of}, replayed whole", whole, "ms")
            figures.note(f"{of}, from a snapshot", kept, "ms")
            figures.note(f"{of}, from a snapshot: time", kept / whole, "times", goal)
            figures.note(f"{of}, from a snapshot: CPU", kept_cpu / whole_cpu, "times")
            figures.note(f"{of}, none found: time", in_vain / whole, "times")
    await store.stop()


async def run(url: str, given: argparse.Namespace, home: str) -> None:
    await migrate(url)
    keyring = Keyring.of(load({"LANGBUILDER_DATA_DIR": home}, env_file=None))
    database = await Database.open(url, pool_size=2)
    figures = Figures()
    try:
        await measure(database, keyring, figures, given)
    finally:
        await database.close()
    figures.show(as_json=given.json)


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
        asyncio.run(run(url, given, str(home)))


if __name__ == "__main__":
    main()
