"""The settings a command works with: the environment, and options in its place."""

import os
from pathlib import Path

import click

from infrastructure.settings import Settings, load

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    help="Where everything is kept.  [default: ~/.langbuilder, for root "
    "/var/lib/langbuilder]",
)


def chosen(**options: object) -> Settings:
    """Read the settings; an option that was given wins over the environment."""
    given = {name: value for name, value in options.items() if value is not None}
    return load(
        os.environ
        | {f"LANGBUILDER_{name.upper()}": str(value) for name, value in given.items()}
    )
