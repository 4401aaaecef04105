"""``langbuilder events``: the event logs, as they were written."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import click
import msgspec

from api.cli_evidence import head, verify
from api.cli_output import Complaint, as_json, console, json_option
from api.cli_settings import chosen, data_dir_option
from api.composition import open_world
from application.ports import EventStore, Recorded
from domain.catalogue import tag_of
from domain.kernel import Log
from infrastructure.settings import Settings

LOGS: tuple[Log, ...] = get_args(Log.__value__)
PAGE = 1000
POLL = 0.5  # seconds between looks, when following
WIDEST = 96


@click.group()
def events() -> None:
    """Look into the event logs."""


events.add_command(verify)
events.add_command(head)


@events.command()
@click.option(
    "--log", type=click.Choice(LOGS), help="One log only.  [default: both, in turn]"
)
@click.option("-n", "--count", default=20, show_default=True, type=click.IntRange(0))
@click.option("-f", "--follow", is_flag=True, help="Go on as events come.")
@data_dir_option
@json_option
def tail(
    log: Log | None,
    count: int,
    *,
    follow: bool,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """Print the last events of the logs."""
    logs: Sequence[Log] = (log,) if log else LOGS
    printed = as_json_line if as_json_lines else as_line
    settings = chosen(data_dir=data_dir)
    asyncio.run(_tail(settings, logs, count, follow=follow, printed=printed))


@events.command()
@click.argument("stream", type=click.UUID)
@data_dir_option
@json_option
def show(stream: UUID, *, data_dir: Path | None, as_json_lines: bool) -> None:
    """Print one stream: a flow's edits, a run's steps, what happened to a user."""
    printed = as_json_line if as_json_lines else as_line
    asyncio.run(_show(chosen(data_dir=data_dir), stream, printed))


async def _tail(
    settings: Settings,
    logs: Sequence[Log],
    count: int,
    *,
    follow: bool,
    printed: Callable[[Recorded], None],
) -> None:
    async with open_world(settings) as world:
        places = {}
        last: list[Recorded] = []
        for log in logs:
            found = await _last(world.store, log, count)
            places[log] = found[-1].position if found else 0
            last += found
        for recorded in sorted(last, key=lambda one: one.at)[-count or len(last) :]:
            printed(recorded)
        while follow:
            for log in logs:
                page = await world.store.read_log(log, after=places[log], limit=PAGE)
                for recorded in page:
                    printed(recorded)
                    places[log] = recorded.position
            await asyncio.sleep(POLL)


async def _last(store: EventStore, log: Log, count: int) -> list[Recorded]:
    """Return the last events of a log; positions have holes, so look ever further."""
    head = getattr(await store.head(), log)
    span = max(count, 1)
    while True:
        after = max(0, head - span)
        found = [one async for one in _pages(store, log, after)]
        if len(found) >= count or after == 0:
            return found[-max(count, 1) :]
        span *= 4


async def _pages(store: EventStore, log: Log, after: int) -> AsyncGenerator[Recorded]:
    while page := await store.read_log(log, after=after, limit=PAGE):
        for recorded in page:
            yield recorded
        after = page[-1].position
        if len(page) < PAGE:
            return


async def _show(
    settings: Settings, stream: UUID, printed: Callable[[Recorded], None]
) -> None:
    async with open_world(settings) as world:
        empty = True
        for log in LOGS:
            async with aclosing(_stream(world.store, log, stream)) as found:
                async for recorded in found:
                    empty = False
                    printed(recorded)
        if empty:
            raise Complaint(f"There is no stream {stream}.")


async def _stream(
    store: EventStore, log: Log, stream: UUID
) -> AsyncGenerator[Recorded]:
    after = 0
    while page := await store.read_stream(log, stream, after=after, limit=PAGE):
        for recorded in page:
            yield recorded
        after = page[-1].version


def payload_of(recorded: Recorded) -> dict[str, Any]:
    """Return what the event itself says, less its tag."""
    payload: dict[str, Any] = msgspec.to_builtins(recorded.event)
    payload.pop("$tag", None)
    return payload


def as_json_line(recorded: Recorded) -> None:
    """Print an event in its envelope, for a program."""
    as_json(
        {
            "log": recorded.log,
            "position": recorded.position,
            "stream": recorded.stream,
            "version": recorded.version,
            "at": recorded.at,
            "tag": tag_of(type(recorded.event)),
            "data": payload_of(recorded),
            "metadata": dict(recorded.metadata),
        }
    )


def as_line(recorded: Recorded) -> None:
    """Print an event for a person, cut to a line."""
    text = msgspec.json.encode(payload_of(recorded)).decode()
    shown = text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
    console().print(
        f"{recorded.at:%Y-%m-%d %H:%M:%S}",
        f"{recorded.log}={recorded.position:<8}",
        f"{recorded.stream} v{recorded.version:<4}",
        f"{tag_of(type(recorded.event)):<24}",
        "" if shown == "{}" else shown,
        markup=False,
    )
