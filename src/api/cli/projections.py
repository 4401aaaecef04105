"""``langbuilder projections``: how the read tables stand, and making them anew."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from api.cli.dead_letters import dead_letters
from api.cli.output import Complaint, as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from application.ports import SYSTEM, Cause, EventStore
from domain.kernel import DomainError
from infrastructure.settings import Settings
from projections.pace import Pace

if TYPE_CHECKING:
    from api.world import World
    from projections.rebuild import Rebuilt
    from projections.status import ProjectionStatus

EVERY = 2.0  # seconds between lines, where there is no terminal for a bar
COLUMNS = (
    *("NAME", "#GENERATION", "#VERSION", "LOG", "STATE", "HEALTH"),
    *("#POSITION", "#HEAD", "#LAG", "#SECONDS", "#PARKED", "PROCESS"),
)


@click.group()
def projections() -> None:
    """Look after the read tables, which are made from the logs."""


projections.add_command(dead_letters)


@projections.command()
@data_dir_option
@json_option
def status(*, data_dir: Path | None, as_json_lines: bool) -> None:
    """Show how far each projection has come, and what it could not take."""
    found = asyncio.run(_status(chosen(data_dir=data_dir)))
    if as_json_lines:
        for one in found:
            as_json(one)
        return
    table(COLUMNS, map(_row, found))
    for said in dict.fromkeys(_trouble(one) for one in found if one.failure):
        console().print(said, markup=False)
    if any(one.dead_letters for one in found if one.state == "live"):
        console().print("See what is parked: langbuilder projections dead-letters list")


@projections.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Rebuild every projection.")
@click.option("--archives", is_flag=True, help="Read archived events too.")
@data_dir_option
@json_option
def rebuild(
    names: tuple[str, ...],
    *,
    every: bool,
    archives: bool,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """
    Make read tables anew from the first event, while the server serves.

    Two are made at a time. Ctrl+C stops; the same command goes on from there, while
    one that differs in --archives begins anew.
    """

    async def work(world: "World") -> None:
        known = world.upkeep.names
        if every == bool(names):
            raise Complaint(
                f"Name projections, or say --all. There are: {', '.join(known)}."
            )
        wanted = known if every else _known(names, known)
        history = world.archived if archives else None
        await _each(wanted, world, history, as_json_lines=as_json_lines)

    try:
        asyncio.run(_with_world(chosen(data_dir=data_dir), work))
    except KeyboardInterrupt:
        raise Complaint(
            "Stopped. What is served is as it was; "
            "the same command goes on where this one stopped."
        ) from None


@projections.command()
@click.argument("name")
@data_dir_option
def cancel(name: str, *, data_dir: Path | None) -> None:
    """Stop a rebuild that runs elsewhere; the next one goes on with it."""

    async def work(world: "World") -> None:
        [known] = _known((name,), world.upkeep.names)
        await world.upkeep.cancel(known, cause=_cause())
        console().print(f"{name}: stops before its next page")

    asyncio.run(_with_world(chosen(data_dir=data_dir), work))


@projections.command()
@click.option("--back", "name", metavar="NAME", required=True, help="Which one.")
@data_dir_option
@json_option
def swap(name: str, *, data_dir: Path | None, as_json_lines: bool) -> None:
    """Serve the generation before again, once it is brought level."""

    async def work(world: "World") -> None:
        [known] = _known((name,), world.upkeep.names)
        with _bars(as_json_lines=as_json_lines) as bars:
            told = _Told(known, bars, as_json_lines=as_json_lines)
            made = await world.upkeep.swap_back(known, cause=_cause(), progress=told)
        _served(known, made, as_json_lines=as_json_lines)

    asyncio.run(_with_world(chosen(data_dir=data_dir), work))


async def _status(settings: Settings) -> list["ProjectionStatus"]:
    async with open_world(settings) as world:
        return await world.upkeep.status()


async def _with_world(
    settings: Settings, work: Callable[["World"], Awaitable[None]]
) -> None:
    async with open_world(settings) as world:
        await work(world)


async def _each(
    names: Sequence[str],
    world: "World",
    history: EventStore | None,
    *,
    as_json_lines: bool,
) -> None:
    async def one(name: str) -> None:
        told = _Told(name, bars, as_json_lines=as_json_lines)
        made = await world.upkeep.rebuild(
            name, cause=_cause(), progress=told, history=history
        )
        _served(name, made, as_json_lines=as_json_lines)

    with _bars(as_json_lines=as_json_lines) as bars:
        ended = await asyncio.gather(*map(one, names), return_exceptions=True)
    refused = [error for error in ended if isinstance(error, DomainError)]
    for error in ended:
        if error is not None and not isinstance(error, DomainError):
            raise error
    if refused:
        raise Complaint("\n".join(error.sentence for error in refused))


def _known(names: Sequence[str], known: Sequence[str]) -> list[str]:
    if strange := sorted(set(names) - set(known)):
        raise Complaint(
            f"There is no projection {', '.join(strange)}. "
            f"There are: {', '.join(known)}."
        )
    return list(dict.fromkeys(names))


def _row(one: "ProjectionStatus") -> tuple[Any, ...]:
    seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
    return (
        *(one.name, one.generation, one.version, one.log, one.state, one.health),
        *(one.position, one.head, one.lag, seconds, one.dead_letters),
        one.builder or one.leader or ("nobody" if one.state == "live" else ""),
    )


def _trouble(one: "ProjectionStatus") -> str:
    failure = one.failure
    assert failure is not None  # noqa: S101 - only those with one are asked
    place = (
        f" at {failure.log} {failure.position} ({failure.tag}, {failure.stream})"
        if failure.position
        else ""
    )
    return f"{one.name}, generation {one.generation}{place}: {failure.reason}"


def _served(name: str, made: "Rebuilt", *, as_json_lines: bool) -> None:
    if as_json_lines:
        as_json(
            {
                "projection": name,
                "generation": made.generation,
                "events": made.events,
                "seconds": round(made.seconds, 3),
            }
        )
        return
    took = f"{made.events:,} events in {made.seconds:.1f} s"
    console().print(f"{name}: generation {made.generation} is served; {took}")


@contextmanager
def _bars(*, as_json_lines: bool) -> Iterator[Progress]:
    out = console(error=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events,"),
        TimeElapsedColumn(),
        TextColumn("gone, {task.fields[pace]}"),
        console=out,
        disable=as_json_lines or not out.is_terminal,
    ) as bars:
        yield bars


class _Told:
    """Shows how far a rebuild is: on a bar, or now and then in a line."""

    def __init__(self, name: str, bars: Progress, *, as_json_lines: bool) -> None:
        self._name, self._bars, self._json = name, bars, as_json_lines
        self._bar: TaskID = bars.add_task(name, total=None, pace="waits for its turn")
        self._pace = Pace()
        self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        rate, left = self._pace.told(done, total)
        if not self._bars.disable:
            to_go = "" if left is None else f", {left:.0f} s to go"
            self._bars.update(
                self._bar, completed=done, total=total, pace=f"{rate:,.0f}/s{to_go}"
            )
            return
        now = time.monotonic()
        if now - self._said > EVERY:
            self._said = now
            self._line(done, total, rate=rate, left=left)

    def _line(self, done: int, total: int, *, rate: float, left: float | None) -> None:
        if self._json:
            as_json(
                {
                    "projection": self._name,
                    "done": done,
                    "total": total,
                    "events_per_second": round(rate),
                    "seconds_left": None if left is None else round(left, 1),
                }
            )
            return
        to_go = "" if left is None else f", {left:.0f} s to go"
        click.echo(f"{self._name}: {done} of {total}, {rate:,.0f}/s{to_go}", err=True)


def _cause() -> Cause:
    command = uuid4()
    return Cause(actor=SYSTEM, command_id=command, correlation_id=command)
