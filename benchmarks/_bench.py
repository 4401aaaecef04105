"""What benchmarks have in common: where they work, and the table they print."""

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg

from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import ADMIN_ROLE
from infrastructure.subject_keys import PostgresSubjectKeys


def bench_database(server: EmbeddedPostgres) -> str:
    """Make a database to measure in, and return where the owner of all reaches it."""
    admin = server.url("postgres", role=ADMIN_ROLE)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bench")
    return server.url("bench", role=ADMIN_ROLE)


class Figure(msgspec.Struct, frozen=True):
    """One line of the table; a goal that begins with ``<`` or ``>`` is a bound."""

    what: str
    value: float
    unit: str
    goal: str = ""

    @property
    def held(self) -> str:
        if not self.goal:
            return ""
        bound = float(self.goal[1:])
        kept = self.value <= bound if self.goal[0] == "<" else self.value >= bound
        return "yes" if kept else "no"


class Figures:
    """What was measured, round by round; of every line the median is told."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str, str], list[float]] = {}

    def note(self, what: str, value: float, unit: str, goal: str = "") -> None:
        self._measured.setdefault((what, unit, goal), []).append(value)

    def show(self, *, as_json: bool) -> None:
        figures = [
            Figure(what, float(f"{statistics.median(values):.4g}"), unit, goal)
            for (what, unit, goal), values in self._measured.items()
        ]
        print(msgspec.json.encode(figures).decode() if as_json else table(figures))


def table(figures: Sequence[Figure]) -> str:
    lines = ["| What | Measured | Goal | Held |", "|---|---|---|---|"]
    for one in figures:
        goal = f"{one.goal[0]} {one.goal[1:]} {one.unit}" if one.goal else ""
        lines.append(
            f"| {one.what} | {one.value:,g} {one.unit} | {goal} | {one.held} |"
        )
    return "\n".join(lines)


def share(values: Sequence[float], part: float) -> float:
    """Return the value that *part* of *values* do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * part))]


@contextmanager
def workplace() -> Iterator[Path]:
    """Lend a folder that PostgreSQL can enter too, whoever it runs as."""
    with tempfile.TemporaryDirectory(prefix="lb-bench-") as home:
        if os.geteuid() == 0:
            Path(home).chmod(0o711)
        yield Path(home)


def event_store(database: Database) -> PostgresEventStore:
    """Return a store that seals events, as a server's does."""
    keys = PostgresSubjectKeys(database, Keyring("a secret for benchmarks only"))
    return PostgresEventStore(database, keys)
