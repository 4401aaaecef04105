"""``langbuilder events verify`` and ``head``: whether history is what was sealed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from api.cli.output import Complaint, as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from application.ports.evidence import Finding, Head, LogEvidence
from infrastructure.settings import Settings

SHOWN = 20  # findings for people; --json prints all that are kept


@click.command()
@click.option(
    "--head",
    "head_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A head exported before, to tell whether history was cut or written anew.",
)
@data_dir_option
@json_option
def verify(
    *, head_file: Path | None, data_dir: Path | None, as_json_lines: bool
) -> None:
    """Compare every sealed event with its seal; name the first that was changed."""
    kept = _read_head(head_file) if head_file is not None else None
    reports = asyncio.run(_verify(chosen(data_dir=data_dir), kept))
    if as_json_lines:
        for report in reports:
            as_json(report)
    else:
        _show(reports)
    if findings := [one for report in reports for one in report.findings]:
        count = sum(report.found for report in reports)
        others = f" ({count - 1} more)" if count > 1 else ""
        raise Complaint(f"History is not what was sealed: {_said(findings[0])}{others}")


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write it to this file.  [default: print it]",
)
@data_dir_option
@json_option
def head(*, out: Path | None, data_dir: Path | None, as_json_lines: bool) -> None:
    """
    Export how far history is sealed; what is printed is JSON anyway.

    Keep it where who can reach the database cannot: ``verify --head`` then tells
    whether events were cut off the end, or all of history was written anew.
    """
    found = asyncio.run(_head(chosen(data_dir=data_dir)))
    if as_json_lines or out is None:
        as_json(found)
    if out is None:
        return
    out.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    if not as_json_lines:
        console().print(f"core is sealed up to {found.core.last_position}, runs up to ")
        console().print(f"{found.runs.last_position}; see {out}")


async def _verify(settings: Settings, kept: Head | None) -> list[LogEvidence]:
    out = console(error=True)
    with Progress(
        TextColumn("verifying"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("events,"),
        TimeRemainingColumn(),
        TextColumn("to go"),
        console=out,
        disable=not out.is_terminal,
    ) as bars:
        bar = bars.add_task("verifying", total=None)

        def told(done: int, total: int) -> None:
            bars.update(bar, completed=done, total=total)

        async with open_world(settings) as world:
            return await world.evidence.verify(head=kept, progress=told)


async def _head(settings: Settings) -> Head:
    async with open_world(settings) as world:
        return await world.evidence.head()


def _read_head(file: Path) -> Head:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Complaint(f"{file} is not an exported head: {error}") from error


def _show(reports: Sequence[LogEvidence]) -> None:
    columns = ("LOG", "#SEGMENTS", "#EVENTS", "#ARCHIVED", "#SEALED UP TO")
    table(
        (*columns, "#NOT YET SEALED", "#FINDINGS"),
        (
            (
                *(one.log, one.segments, one.events, one.archived, one.sealed_upto),
                *(one.unsealed, one.found),
            )
            for one in reports
        ),
    )
    for report in reports:
        for finding in report.findings[:SHOWN]:
            console().print(_said(finding), markup=False)


def _said(finding: Finding) -> str:
    return f"{finding.log}={finding.position}: {finding.says}"
