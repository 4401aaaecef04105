"""The command line: ``langbuilder run`` and what operators ask of a server's data."""

import os
from importlib import import_module
from importlib.metadata import version
from typing import Any, override

import click

from api.cli.output import Complaint, WrongSetting
from domain.kernel import DomainError
from infrastructure.settings import SettingError
from infrastructure.starting import CannotStartError

PACKAGE = "langbuilder-eventsourced"
COMMANDS = (
    "run",
    "migrate",
    "events",
    "archives",
    "retention",
    "projections",
    "users",
    "keys",
    "doctor",
)
"""Each a module beside this one, and the command in it."""


class _Commands(click.Group):
    """
    Imports a command when it is wanted, for each needs much that others do not.

    Says in one line why a command could not be carried out.
    """

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__name__}.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingError as error:
            raise WrongSetting(str(error)) from error
        except CannotStartError as error:
            raise Complaint(str(error)) from error
        except DomainError as error:
            raise Complaint(error.sentence) from error
        except BrokenPipeError:  # such as "| head": nobody reads on
            os._exit(0)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(PACKAGE), "-V", "--version", prog_name="langbuilder")
def main() -> None:
    """Design and run LLM flows; every edit and step is kept as an event."""
