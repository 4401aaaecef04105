"""``langbuilder projections dead-letters``: events that could not be taken in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import click
import msgspec

from api.cli.output import Complaint, as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from application.ports import SYSTEM, Cause
from infrastructure.settings import Settings

if TYPE_CHECKING:
    from api.world import World
    from projections.letters import DeadLetter, Outcome, Place
    from projections.upkeep import Upkeep

PAGE = 500
WIDEST = 80

limit_option = click.option(
    "-n",
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="How many at most.",
)


@click.group(name="dead-letters")
def dead_letters() -> None:
    """Look after events that a projection could not take in."""


@dead_letters.command(name="list")
@click.argument("name", required=False)
@limit_option
@data_dir_option
@json_option
def list_letters(
    name: str | None, limit: int, *, data_dir: Path | None, as_json_lines: bool
) -> None:
    """List what is parked, of one projection or of all."""
    found = asyncio.run(_list(chosen(data_dir=data_dir), name, limit))
    if as_json_lines:
        for letter in found:
            as_json(shown(letter))
        return
    table(
        ("LETTER", "TAG", "STREAM", "PARKED", "#TRIES", "#WAITING", "REASON"),
        (
            (
                *(letter.place, letter.tag, letter.stream),
                f"{letter.parked_at:%Y-%m-%d %H:%M}",
                *(letter.tries, letter.waiting, _cut(letter.reason)),
            )
            for letter in found
        ),
    )


@dead_letters.command()
@click.argument("letter")
@data_dir_option
@json_option
def show(letter: str, *, data_dir: Path | None, as_json_lines: bool) -> None:
    """Print a parked event (such as users/core/12), and what was wrong with it."""
    found = asyncio.run(_show(chosen(data_dir=data_dir), letter))
    if as_json_lines:
        as_json(found)
        return
    event = msgspec.json.format(msgspec.json.encode(found.pop("event"), enc_hook=str))
    out = console()
    for key, value in found.items():
        out.print(f"{key:<12}{value}", markup=False)
    out.print(event.decode(), markup=False)


@dead_letters.command()
@click.argument("letters", nargs=-1, metavar="[LETTER]...")
@click.option("--all", "every", is_flag=True, help="Retry all that is parked.")
@click.option("--of", "name", metavar="NAME", help="With --all: of one projection.")
@limit_option
@click.option("--dry-run", is_flag=True, help="Only say which would be retried.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@data_dir_option
@json_option
def retry(
    letters: tuple[str, ...],
    name: str | None,
    limit: int,
    *,
    every: bool,
    dry_run: bool,
    yes: bool,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """Take parked events in now, each with what waits behind it in its stream."""
    if every == bool(letters):
        raise Complaint("Name letters (such as users/core/12), or say --all.")

    async def work(world: "World") -> bool:
        upkeep = world.upkeep
        if every:
            wanted = await _upto(upkeep, name, limit)
        else:
            wanted = [await upkeep.letters.get(_place(one)) for one in letters]
        if dry_run:
            for letter in wanted:
                _say(letter, "would be retried", as_json_lines=as_json_lines)
            return True
        if every and not yes and wanted:
            click.confirm(f"Retry {len(wanted)} of them?", abort=True, err=True)
        return await _retry(upkeep, wanted, as_json_lines=as_json_lines)

    if not asyncio.run(_with_world(chosen(data_dir=data_dir), work)):
        raise Complaint("Not all could be taken in; their streams stay held.")


@dead_letters.command()
@click.argument("letter")
@click.option("--reason", required=True, help="Why nobody needs it; kept for ever.")
@data_dir_option
@json_option
def skip(
    letter: str, reason: str, *, data_dir: Path | None, as_json_lines: bool
) -> None:
    """Go on without a parked event, now and in every rebuild."""

    async def work(world: "World") -> bool:
        parked = await world.upkeep.letters.get(_place(letter))
        outcome = await world.upkeep.skip(parked.place, reason, cause=_cause())
        return _ended(parked, outcome, as_json_lines=as_json_lines)

    if not asyncio.run(_with_world(chosen(data_dir=data_dir), work)):
        raise Complaint("It is skipped, and its stream is held again further on.")


async def _list(settings: Settings, name: str | None, limit: int) -> list["DeadLetter"]:
    async with open_world(settings) as world:
        return await _upto(world.upkeep, name, limit)


async def _upto(upkeep: "Upkeep", name: str | None, limit: int) -> list["DeadLetter"]:
    found: list[DeadLetter] = []
    while len(found) < limit:
        after = found[-1].place if found else None
        asked = min(PAGE, limit - len(found))
        page = await upkeep.letters.page(only=name, after=after, limit=asked)
        found += page
        if len(page) < asked:
            break
    return found


async def _retry(
    upkeep: "Upkeep", wanted: Sequence["DeadLetter"], *, as_json_lines: bool
) -> bool:
    """Tell whether every one of *wanted* was let go."""
    let_go = True
    for letter in wanted:
        outcome = await upkeep.retry(letter.place, cause=_cause())
        let_go &= _ended(letter, outcome, as_json_lines=as_json_lines)
    return let_go


async def _show(settings: Settings, text: str) -> dict[str, Any]:
    async with open_world(settings) as world:
        letter = await world.upkeep.letters.get(_place(text))
        recorded = await world.upkeep.letters.event(letter)
        event = msgspec.to_builtins(recorded.event)
        return {**shown(letter), "at": recorded.at, "event": event}


async def _with_world(
    settings: Settings, work: Callable[["World"], Awaitable[bool]]
) -> bool:
    async with open_world(settings) as world:
        return await work(world)


def shown(letter: "DeadLetter") -> dict[str, Any]:
    """Return a letter by its name, with all that is known of it."""
    return {"letter": str(letter.place), **msgspec.structs.asdict(letter)}


def _ended(letter: "DeadLetter", outcome: "Outcome", *, as_json_lines: bool) -> bool:
    if as_json_lines:
        ended = msgspec.structs.asdict(outcome)
        as_json({"letter": str(letter.place), **ended})
    elif outcome.stuck is None:
        words = f"let go, {outcome.taken} events taken in"
        _say(letter, words, as_json_lines=False)
    else:
        words = f"held at {outcome.stuck} after {outcome.taken} events"
        _say(letter, f"{words}: {outcome.reason}", as_json_lines=False)
    return outcome.stuck is None


def _say(letter: "DeadLetter", words: str, *, as_json_lines: bool) -> None:
    if as_json_lines:
        as_json(shown(letter))
    else:
        console().print(f"{letter.place}: {words}", markup=False)


def _place(words: str) -> "Place":
    from projections.letters import Place  # noqa: PLC0415 - help needs no database

    return Place.of(words)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _cause() -> Cause:
    command = uuid4()
    return Cause(actor=SYSTEM, command_id=command, correlation_id=command)
