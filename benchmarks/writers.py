"""How much two writer processes append together, beside one alone."""

import argparse
import asyncio
import subprocess
import sys

import msgspec

from benchmarks._bench import Figures, bench_database, workplace
from benchmarks.append import Rate
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.event_store.migrate import migrate


class Writers:
    """Processes that share so many clients, and write when told to."""

    def __init__(self, url: str, *, processes: int, clients: int, seconds: int) -> None:
        command = [
            *(sys.executable, "-m", "benchmarks._writer", url),
            *(str(clients // processes), str(seconds)),
        ]
        self._running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(processes)
        ]
        self._hear()

    def write(self) -> Rate:
        """Write for the time given; tell what all did together."""
        for process in self._running:
            assert process.stdin
            process.stdin.write(b"go\n")
            process.stdin.flush()
        rates = [msgspec.json.decode(said, type=Rate) for said in self._hear()]
        commands = sum(rate.commands for rate in rates)
        used = sum((rate.cpu or 0) * rate.commands for rate in rates)
        return Rate(commands, used / commands)

    def stop(self) -> None:
        for process in self._running:
            process.communicate()

    def _hear(self) -> list[bytes]:
        return [
            process.stdout.readline() for process in self._running if process.stdout
        ]


def measure(url: str, given: argparse.Namespace) -> None:
    figures = Figures()
    for clients in given.clients:
        one, two = (
            Writers(url, processes=number, clients=clients, seconds=given.seconds)
            for number in (1, 2)
        )
        for _ in range(given.rounds):
            alone, together = one.write(), two.write()
            what, share = f"{clients} clients", together.commands / alone.commands
            figures.note(f"{what}, one writer", alone.commands, "commands/s")
            figures.note(f"{what}, one writer: CPU", alone.cpu or 0, "µs")
            figures.note(f"{what}, two writers", together.commands, "commands/s")
            figures.note(f"{what}, two writers: CPU", together.cpu or 0, "µs")
            figures.note(f"{what}, two writers: of one's commands", share, "x", ">0.6")
        one.stop()
        two.stop()
    figures.show(as_json=given.json)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--quick", action="store_true", help="one round of a second")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.rounds = 1, 1
    with workplace() as home, EmbeddedPostgres(home / "server") as server:
        url = bench_database(server)
        asyncio.run(migrate(url))
        measure(url, given)


if __name__ == "__main__":
    main()
