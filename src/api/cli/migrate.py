"""``langbuilder migrate``: bring the tables up to date without serving."""

import asyncio
from pathlib import Path

import click

from api.cli.output import as_json, console, json_option
from api.cli.settings import chosen, data_dir_option


@click.command()
@click.option(
    "--finish",
    is_flag=True,
    help="No older server runs any more: use what they would not understand.",
)
@data_dir_option
@json_option
def migrate(*, finish: bool, data_dir: Path | None, as_json_lines: bool) -> None:
    """Bring the database's tables up to date, as every start does."""
    from api import opening  # noqa: PLC0415 - help needs no database

    settings = chosen(data_dir=data_dir)
    if not finish:
        asyncio.run(opening.migrate_database(settings))
        begun: list[str] = []
    else:
        begun = asyncio.run(opening.finish_migration(settings))
    if as_json_lines:
        as_json({"begun": begun})
        return
    console().print("The tables are up to date.")
    if "sealed_states" in begun:
        console().print(
            "From now on, events are sealed for the people they belong to. Those "
            "stored before stay as they are: see docs/explanation/erasure.md."
        )
