"""``langbuilder migrate``: bring the tables up to date without serving."""

import asyncio
from pathlib import Path

import click

from api.cli_output import console
from api.cli_settings import chosen, data_dir_option
from api.composition import migrate_database


@click.command()
@data_dir_option
def migrate(*, data_dir: Path | None) -> None:
    """Bring the database's tables up to date, as every start does."""
    asyncio.run(migrate_database(chosen(data_dir=data_dir)))
    console().print("The tables are up to date.")
