"""``langbuilder archives``: finished runs that have left the log."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec

from api.cli.event_lines import EventTable, print_json
from api.cli.output import Complaint, as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from application.events import EventLine, line_of, state_of
from domain.run.run import Run
from infrastructure.settings import Settings

if TYPE_CHECKING:
    from api.world import World

STEPS = "run.vertex_"
run_argument = click.argument("run", type=click.UUID)


@click.group()
def archives() -> None:
    """Look into the archives that finished runs move to."""


@archives.command("list")
@data_dir_option
@json_option
def list_archives(*, data_dir: Path | None, as_json_lines: bool) -> None:
    """Show which archives there are."""
    found = asyncio.run(_list(chosen(data_dir=data_dir)))
    if as_json_lines:
        for archive in found:
            as_json(archive)
        return
    columns = ("ARCHIVE", "PARTITION", "SINCE", "UNTIL", "#STREAMS", "#EVENTS")
    table(
        (*columns, "#BYTES", "ARCHIVED AT"),
        (
            (
                *(one.id, one.partition, f"{one.since:%Y-%m-%d}"),
                *(f"{one.until:%Y-%m-%d}", one.runs, one.events, one.bytes),
                f"{one.archived_at:%Y-%m-%d %H:%M}",
            )
            for one in found
        ),
    )


@archives.command()
@click.argument("archive", type=click.UUID)
@click.option("--after", type=click.UUID, help="Go on after this run.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@data_dir_option
@json_option
def show(
    archive: UUID,
    *,
    after: UUID | None,
    limit: int,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """Show the runs of an archive (or its threads), by id, a page at a time."""
    settings = chosen(data_dir=data_dir)
    found = asyncio.run(_show(settings, archive, after=after, limit=limit))
    if as_json_lines:
        for one in found:
            as_json(one)
        return
    table(
        ("STREAM", "#EVENTS", "SINCE", "UNTIL", "END"),
        (
            (
                *(one.stream, one.events, f"{one.since:%Y-%m-%d %H:%M:%S}"),
                *(f"{one.until:%Y-%m-%d %H:%M:%S}", one.end),
            )
            for one in found
        ),
    )
    if len(found) == limit:
        console(error=True).print(f"More: --after {found[-1].stream}")


@archives.command()
@run_argument
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write the events to this file, as JSON lines.  [default: print them]",
)
@data_dir_option
@json_option
def fetch(
    run: UUID, *, out: Path | None, data_dir: Path | None, as_json_lines: bool
) -> None:
    """Print the archived events of a run, or of a thread."""
    lines = asyncio.run(_fetch(chosen(data_dir=data_dir), run))
    if out is not None:
        encoder = msgspec.json.Encoder(enc_hook=str)
        out.write_bytes(b"".join(encoder.encode(line) + b"\n" for line in lines))
        console().print(f"wrote {len(lines)} events to {out}")
        return
    printed = print_json if as_json_lines else EventTable("absolute")
    for line in lines:
        printed(line)


@archives.command()
@run_argument
@data_dir_option
@json_option
def replay(run: UUID, *, data_dir: Path | None, as_json_lines: bool) -> None:
    """Rebuild a run from its archived events; show its steps and how it ended."""
    state, steps = asyncio.run(_replay(chosen(data_dir=data_dir), run))
    if as_json_lines:
        as_json({"run": run, "state": state, "steps": steps})
        return
    printed = EventTable("absolute")
    for line in steps:
        printed(line)
    reason = f", {state['reason']}" if state["reason"] else ""
    console().print(f"The run of {state['flow_name']} {state['status']}{reason}.")


async def _list(settings: Settings) -> list[Any]:
    async with open_world(settings) as world:
        return list(await world.archived.archives())


async def _show(
    settings: Settings, archive_id: UUID, *, after: UUID | None, limit: int
) -> list[Any]:
    async with open_world(settings) as world:
        for archive in await world.archived.archives():
            if archive.id == archive_id:
                return list(
                    await world.archived.streams(archive, after=after, limit=limit)
                )
    raise Complaint(
        f"There is no archive {archive_id}; langbuilder archives list shows them."
    )


async def _fetch(settings: Settings, stream: UUID) -> list[EventLine]:
    async with open_world(settings) as world:
        return await _archived(world, stream)


async def _replay(
    settings: Settings, stream: UUID
) -> tuple[dict[str, Any], list[EventLine]]:
    async with open_world(settings) as world:
        lines = await _archived(world, stream)
        run = await world.archived.load(Run, stream)
        return state_of(run), [one for one in lines if one.tag.startswith(STEPS)]


async def _archived(world: "World", stream: UUID) -> list[EventLine]:
    found = await world.archived.archived(stream)
    if not found:
        raise Complaint(
            f"No archive holds {stream}; if it is in the log still, "
            f"langbuilder events show {stream} shows it."
        )
    return [line_of(recorded) for recorded in found]
