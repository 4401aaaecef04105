"""``langbuilder events``: the event logs, as they were written."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args
from uuid import UUID

import click

from api.cli.event_lines import Clock, EventTable, print_json, print_state
from api.cli.evidence import head, verify
from api.cli.export import export_events
from api.cli.output import Complaint, console, json_option
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from api.moments import moment
from application.events import LARGEST_PAGE, EventLine, check_tag, line_of
from application.ports.browsing import Wanted
from domain.kernel import Log
from infrastructure.settings import Settings

if TYPE_CHECKING:
    from api.world import World

LOGS: tuple[Log, ...] = get_args(Log.__value__)
MOST_LINES = 10_000  # all of them at once is what an export is for
POLL = 1.0  # seconds between looks, when following and nothing is heard

type Printed = Callable[[EventLine], None]


class Asked(NamedTuple):
    """Which events were asked for on the command line, in its words."""

    logs: Sequence[Log]
    stream: str | None
    tag: str | None
    actor: str | None
    correlation: UUID | None
    command: UUID | None
    since: datetime | None
    until: datetime | None
    after: int
    upto: int | None

    async def wanted(self, world: "World") -> Wanted:
        """Return the same with ids in place of names."""
        check_tag(self.tag)
        events = world.events
        return Wanted(
            stream=await events.stream_like(self.stream) if self.stream else None,
            tag=self.tag,
            actor=await events.actor_called(self.actor) if self.actor else None,
            correlation=self.correlation,
            command=self.command,
            since=self.since,
            until=self.until,
        )


_FILTERS = (
    click.option("--log", type=click.Choice(LOGS), help="Of one log only."),
    click.option("--stream", help="One stream: its id, or how that begins."),
    click.option("--tag", help="One kind of event, or flow. for all of flows."),
    click.option("--actor", help="By whom: a user's name or id, or system."),
    click.option("--correlation", type=click.UUID, help="One story, by its id."),
    click.option("--command", type=click.UUID, help="One command, by its id."),
    click.option("--since", type=moment, help="From a time on, or 2h, 3d ago."),
    click.option("--until", type=moment, help="Before then, in the same words."),
    click.option(
        "--after", default=0, type=click.IntRange(0), help="After a position only."
    ),
    click.option("--upto", type=click.IntRange(0), help="No further than a position."),
)


def filters(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which events are meant."""

    def asking(*, log: Log | None, **given: Any) -> None:
        words = {name: given.pop(name) for name in Asked._fields[1:]}
        asked = Asked(logs=(log,) if log else LOGS, **words)
        if asked.upto is not None and log is None:
            raise Complaint("Each log has its own positions: say --log with --upto.")
        if asked.after and log is None:
            raise Complaint("Each log has its own positions: say --log with --after.")
        command(asked=asked, **given)

    asking.__doc__ = command.__doc__
    asking.__name__ = command.__name__
    for option in reversed(_FILTERS):
        asking = option(asking)
    return asking


clock_option = click.option(
    "--time",
    "clock",
    type=click.Choice(get_args(Clock.__value__)),
    default="absolute",
    show_default=True,
    help="When, or how long ago.",
)


@click.group()
def events() -> None:
    """Look into the event logs."""


events.add_command(verify)
events.add_command(head)


@events.command()
@click.option(
    "-n", "--count", default=20, show_default=True, type=click.IntRange(0, MOST_LINES)
)
@click.option("-f", "--follow", is_flag=True, help="Go on as events come.")
@clock_option
@data_dir_option
@json_option
@filters
def tail(
    *,
    asked: Asked,
    count: int,
    follow: bool,
    clock: Clock,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """Print the last events of the logs, or the last of those asked for."""
    printed: Printed = print_json if as_json_lines else EventTable(clock)
    following = _tail(chosen(data_dir=data_dir), asked, count, printed, go_on=follow)
    with contextlib.suppress(KeyboardInterrupt):  # how following ends
        asyncio.run(following)


@events.command()
@click.argument("stream")
@click.option("--at", "as_of", help="Its state then: a version, or a moment.")
@clock_option
@data_dir_option
@json_option
def show(
    stream: str,
    *,
    as_of: str | None,
    clock: Clock,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """
    Print one stream: a flow's edits, a run's steps, what happened to a user.

    STREAM is its id, or how the id begins. With --at, print what all events up to
    then had made of it.
    """
    settings = chosen(data_dir=data_dir)
    if as_of is not None:
        asyncio.run(_show_state(settings, stream, as_of, as_json_lines=as_json_lines))
        return
    printed: Printed = print_json if as_json_lines else EventTable(clock)
    asyncio.run(_show(settings, stream, printed))


@events.command()
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--overwrite", is_flag=True, help="Replace the file if there is one.")
@data_dir_option
@filters
def export(*, asked: Asked, out: Path, overwrite: bool, data_dir: Path | None) -> None:
    """
    Write events to a file, one JSON object a line.

    The file is there once all of it is. A name that ends with .gz is compressed.
    """
    if out.exists() and not overwrite:
        raise Complaint(f"{out} exists; say --overwrite to replace it.")
    count = asyncio.run(_export(chosen(data_dir=data_dir), asked, out))
    console().print(f"{count} events in {out}", markup=False)


async def _tail(
    settings: Settings, asked: Asked, count: int, printed: Printed, *, go_on: bool
) -> None:
    async with open_world(settings) as world:
        wanted = await asked.wanted(world)
        head = await world.store.head()
        places: dict[Log, int] = {log: getattr(head, log) for log in asked.logs}
        last: list[EventLine] = []
        for log, place in places.items():
            upto = place if asked.upto is None else min(place, asked.upto)
            last += await _last(world, log, wanted, count, after=asked.after, upto=upto)
        for line in sorted(last, key=lambda line: line.at)[max(len(last) - count, 0) :]:
            printed(line)
        if go_on:
            await _follow(world, wanted, places, printed)


async def _last(
    world: "World", log: Log, wanted: Wanted, count: int, *, after: int, upto: int
) -> list[EventLine]:
    found: list[EventLine] = []
    before, more = upto + 1, count > 0
    while more and len(found) < count and before > after + 1:
        limit = min(count - len(found), LARGEST_PAGE)
        page = await world.events.find_last(log, wanted, before=before, limit=limit)
        found += [line_of(one) for one in page.events if one.position > after]
        before, more = page.reached, page.more
    return found[::-1]


async def _follow(
    world: "World", wanted: Wanted, places: dict[Log, int], printed: Printed
) -> None:
    import psycopg  # noqa: PLC0415 - help needs no database
    from psycopg_pool import PoolTimeout  # noqa: PLC0415 - nor this

    from api.opening import listening  # noqa: PLC0415 - nor that

    away = False
    async with listening(world) as heard:
        while True:
            heard.clear()
            try:
                for log, place in list(places.items()):
                    async for line, reached in _on(world, log, wanted, place):
                        places[log] = reached
                        if line is not None:
                            printed(line)
                away = False
            except (psycopg.OperationalError, PoolTimeout):
                if not away:
                    click.echo("The database is away; waiting for it.", err=True)
                away = True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(heard.wait(), POLL)


async def _on(
    world: "World", log: Log, wanted: Wanted, after: int
) -> AsyncGenerator[tuple[EventLine | None, int]]:
    """Yield what came after a position, and with each how far one has come."""
    more = True
    while more:
        page = await world.events.find(
            log, wanted, after=after, upto=None, limit=LARGEST_PAGE
        )
        for one in page.events:
            yield line_of(one), one.position
        after, more = page.reached, page.more
        yield None, after


async def _show(settings: Settings, words: str, printed: Printed) -> None:
    async with open_world(settings) as world:
        wanted = Wanted(stream=await world.events.stream_like(words))
        for log in LOGS:
            async for line, _ in _on(world, log, wanted, 0):
                if line is not None:
                    printed(line)


async def _show_state(
    settings: Settings, words: str, as_of: str, *, as_json_lines: bool
) -> None:
    version = int(as_of) if as_of.isascii() and as_of.isdecimal() else None
    at = moment(as_of) if version is None else None
    async with open_world(settings) as world:
        stream = await world.events.stream_like(words)
        state = await world.events.state(stream, version=version, at=at)
    if as_json_lines:
        print_json(state)
    else:
        print_state(state)


async def _export(settings: Settings, asked: Asked, out: Path) -> int:
    async with open_world(settings) as world:
        wanted = await asked.wanted(world)
        return await export_events(
            world.events,
            asked.logs,
            wanted,
            after=asked.after,
            upto=asked.upto,
            out=out,
        )
