"""``langbuilder projections``: how the read tables stand, and making them anew."""

import asyncio
import time
from pathlib import Path

import click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from api.cli_output import Complaint, as_json, console, json_option, table
from api.cli_settings import chosen, data_dir_option
from api.composition import (
    World,
    open_world,
)
from infrastructure.settings import Settings
from projections.all import ALL
from projections.projector import Projector
from projections.rebuild import RebuildRunningError
from projections.rebuild import rebuild as rebuild_projection
from projections.status import ProjectionStatus
from projections.status import status as projection_status

EVERY = 2.0  # seconds between lines, where there is no terminal for a bar


@click.group()
def projections() -> None:
    """Look after the read tables, which are made from the logs."""


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
    table(
        ("NAME", "#VERSION", "LOG", "STATE", "#POSITION", "#HEAD", "#LAG", "#PARKED"),
        (
            (
                *(one.name, one.version, one.log, one.state),
                *(one.position, one.head, one.lag, one.dead_letters),
            )
            for one in found
        ),
    )


@projections.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Rebuild every projection.")
@data_dir_option
def rebuild(names: tuple[str, ...], *, every: bool, data_dir: Path | None) -> None:
    """Make read tables anew from the first event, while the server serves."""
    known = {projector.name: projector for projector in ALL}
    if every == bool(names):
        raise Complaint(
            f"Name projections, or say --all. There are: {', '.join(known)}."
        )
    if strange := sorted(set(names) - known.keys()):
        raise Complaint(
            f"There is no projection {', '.join(strange)}. "
            f"There are: {', '.join(known)}."
        )
    wanted = [known[name] for name in (known if every else dict.fromkeys(names))]
    asyncio.run(_rebuild(chosen(data_dir=data_dir), wanted))


async def _status(settings: Settings) -> list[ProjectionStatus]:
    async with open_world(settings) as world:
        return await projection_status(world.database, world.store)


async def _rebuild(settings: Settings, wanted: list[Projector]) -> None:
    out = console(error=True)
    async with open_world(settings) as world:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("events,"),
            TimeElapsedColumn(),
            TextColumn("gone,"),
            TimeRemainingColumn(),
            TextColumn("to go"),
            console=out,
            disable=not out.is_terminal,
        ) as bars:
            for projector in wanted:
                await _rebuild_one(world, projector, bars)


async def _rebuild_one(world: World, projector: Projector, bars: Progress) -> None:
    name = projector.name
    told = _Told(name, bars, bars.add_task(name, total=None))
    try:
        version = await rebuild_projection(world.database, world.store, projector, told)
    except RebuildRunningError as error:
        raise Complaint(f"{name} is being rebuilt already.") from error
    console().print(f"{name}: version {version} is served")


class _Told:
    """Shows how far a rebuild is: on a bar, or now and then in a line."""

    def __init__(self, name: str, bars: Progress, bar: TaskID) -> None:
        self._name, self._bars, self._bar = name, bars, bar
        self._began = self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        self._bars.update(self._bar, completed=done, total=total)
        now = time.monotonic()
        if self._bars.disable and now - self._said > EVERY:
            self._said = now
            left = (total - done) * (now - self._began) / max(done, 1)
            click.echo(f"{self._name}: {done} of {total}, {left:.0f} s to go", err=True)
