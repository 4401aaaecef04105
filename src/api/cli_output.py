"""How the command line speaks: tables for people, JSON lines for programs."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click
import msgspec
from rich.console import Console
from rich.table import Table

REFUSED, MISTAKEN = 1, 2


class Complaint(click.ClickException):
    """One clear line about why a command cannot be carried out."""

    def __init__(self, message: str, *, code: int = REFUSED) -> None:
        super().__init__(message)
        self.exit_code = code


def complain(message: str, *, code: int = REFUSED) -> NoReturn:
    """End the command with one clear line."""
    raise Complaint(message, code=code)


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
