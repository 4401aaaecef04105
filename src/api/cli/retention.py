"""``langbuilder retention``: what has outlived its time, and its removal."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from api.cli.output import as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from application.ports import SYSTEM, Cause
from infrastructure.settings import Settings

if TYPE_CHECKING:
    from projections.retention import Aged

_UNITS = ("B", "kB", "MB", "GB")
_UNIT = 1000


@click.group()
def retention() -> None:
    """Remove what is kept no longer, and archive finished runs."""


@retention.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@data_dir_option
@json_option
def run(*, dry_run: bool, data_dir: Path | None, as_json_lines: bool) -> None:
    """Apply the settings LANGBUILDER_RETENTION_* now, instead of by the schedule."""
    settings = chosen(data_dir=data_dir)
    found = asyncio.run(_preview(settings) if dry_run else _apply(settings))
    if as_json_lines:
        for one in found:
            as_json(one)
        return
    _show(found, "WOULD GO" if dry_run else "GONE")


async def _preview(settings: Settings) -> list["Aged"]:
    async with open_world(settings) as world:
        return await world.retention.preview()


async def _apply(settings: Settings) -> list["Aged"]:
    command = uuid4()
    cause = Cause(actor=SYSTEM, command_id=command, correlation_id=command)
    shown = console(error=True)
    async with open_world(settings) as world:
        if not shown.is_terminal:
            return await world.retention.apply(cause=cause)
        with shown.status("removing what outlived its time") as status:
            return await world.retention.apply(
                cause=cause, told=lambda one: status.update(f"{one.kind}: {one.rows}")
            )


def _show(found: Sequence["Aged"], heading: str) -> None:
    table(
        ("KIND", f"#{heading}", "#SIZE", "STAYS BECAUSE"),
        (
            (
                one.kind,
                one.rows if one.stays is None else 0,
                _size(one.bytes),
                one.stays,
            )
            for one in found
        ),
    )
    total = sum(one.bytes for one in found if one.stays is None)
    console().print(f"{_size(total)} in all")


def _size(number: float) -> str:
    for unit in _UNITS[:-1]:
        if number < _UNIT:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= _UNIT
    return f"{number:.1f} {_UNITS[-1]}"
