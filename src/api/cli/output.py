"""How the command line speaks: tables for people, JSON lines for programs."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table


class Complaint(click.ClickException):
    """One clear line about why a command cannot be carried out."""

    exit_code = 1


class WrongSetting(Complaint):  # click's own are named like this
    """One clear line about a setting that cannot be used."""

    exit_code = 2


def as_json(row: object) -> None:
    """Print one object as a line of JSON."""
    sys.stdout.write(msgspec.json.encode(row, enc_hook=str).decode() + "\n")
    sys.stdout.flush()


def console(*, error: bool = False) -> Console:
    """Return where to print for people; colours are off when it is no terminal."""
    return Console(stderr=error, highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows under their columns."""
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        numeric = column.startswith("#")
        drawn.add_column(
            column.removeprefix("#"),
            justify="right" if numeric else "left",
            no_wrap=True,
        )
    for row in rows:
        drawn.add_row(*("" if cell is None else str(cell) for cell in row))
    here = console()
    if not here.is_terminal:
        here.width = 10_000  # a pipe has no width to cut lines at
    here.print(drawn)


json_option = click.option(
    "--json", "as_json_lines", is_flag=True, help="Print JSON, one object a line."
)
