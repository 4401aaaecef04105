"""``langbuilder keys``: which secret wraps what, and putting another in its place."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from api.cli.output import Complaint, as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from application.ports import SYSTEM, Cause
from application.ports.wrapping import Wrapped
from infrastructure.master_secrets import EARLIER, forget_earlier, renew
from infrastructure.settings import Settings


@click.group()
def keys() -> None:
    """Look after the secret that wraps all keys."""


@keys.command()
@data_dir_option
@json_option
def status(*, data_dir: Path | None, as_json_lines: bool) -> None:
    """Say which secrets wrap how many keys; ids only, never a secret."""
    found = asyncio.run(_status(chosen(data_dir=data_dir)))
    if as_json_lines:
        for one in found:
            as_json(one)
        return
    table(
        ("KEY ID", "CURRENT", "#PEOPLE'S", "#INSTALLATION'S"),
        (
            (one.key_id, "yes" if one.current else "no", one.subjects, one.installation)
            for one in found
        ),
    )
    if any(not one.current for one in found):
        console().print("Wrap them all by the current one: langbuilder keys rotate")


@keys.command()
@click.option(
    "--finish",
    is_flag=True,
    help="Forget the secret before, once every server has the new one.",
)
@data_dir_option
@json_option
def rotate(*, finish: bool, data_dir: Path | None, as_json_lines: bool) -> None:
    """
    Wrap all keys by another secret, beside servers that know both.

    Where the secret lies in the data directory, a new one is made; elsewhere it is
    LANGBUILDER_SECRET_KEY, with the one before in LANGBUILDER_PREVIOUS_SECRET_KEY.
    Interrupted, it goes on when it is run again.
    """
    settings = chosen(data_dir=data_dir)
    if finish:
        _finish(settings, as_json_lines=as_json_lines)
        return
    if not settings.secret_key:
        renew(settings.data_path)
    done, current = asyncio.run(_rotate(settings, as_json_lines=as_json_lines))
    if as_json_lines:
        as_json({"after": current, "before": done})
        return
    out = console()
    for before, count in done.items():
        out.print(f"{count} keys were wrapped by {before}, and are by {current} now.")
    if not done:
        out.print(f"All keys are wrapped by {current}.")
    out.print(_next_step(settings))


def _finish(settings: Settings, *, as_json_lines: bool) -> None:
    found = asyncio.run(_status(settings))
    if left := [one.key_id for one in found if not one.current]:
        raise Complaint(
            f"Keys are still wrapped by {', '.join(left)}: langbuilder keys rotate"
        )
    there = not settings.secret_key and forget_earlier(settings.data_path)
    if as_json_lines:
        as_json({"forgotten": there})
    elif there:
        console().print(f"{EARLIER} is gone. Backups before this need it: keep a copy.")
    else:
        console().print("There is no file to remove.")


def _next_step(settings: Settings) -> str:
    if settings.secret_key:
        return (
            "Next: langbuilder keys status, then take LANGBUILDER_PREVIOUS_SECRET_KEY "
            "away from every server."
        )
    return "Next: restart the server, then langbuilder keys rotate --finish"


async def _status(settings: Settings) -> Sequence[Wrapped]:
    async with open_world(settings) as world:
        return await world.keys.status()


async def _rotate(
    settings: Settings, *, as_json_lines: bool
) -> tuple[Mapping[str, int], str]:
    async with open_world(settings) as world:
        left = [one for one in await world.keys.status() if not one.current]
        with Progress(
            TextColumn("keys"),
            BarColumn(),
            MofNCompleteColumn(),
            console=console(error=True),
            disable=as_json_lines,
            transient=True,
        ) as bars:
            total = sum(one.subjects + one.installation for one in left)
            bar = bars.add_task("keys", total=total)
            command = uuid4()
            done = await world.keys.rotate(
                cause=Cause(actor=SYSTEM, command_id=command, correlation_id=command),
                progress=lambda count: bars.advance(bar, count),
            )
        return done, world.keys.current
