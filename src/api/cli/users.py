"""``langbuilder users``: who may sign in."""

import asyncio
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import click

from api.cli.output import Complaint, as_json, console, json_option, table
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world, told
from application.erasure import Erased
from application.ports import SYSTEM, Cause
from infrastructure.settings import Settings

if TYPE_CHECKING:
    from projections.users.views import UserRow, UserViews

PAGE = 500
PATIENCE = 30.0  # seconds for the read tables to catch up
LEFT = "left: ids, times, sizes and keyed digests of what there was"


@click.group()
def users() -> None:
    """Look after the people who may sign in."""


@users.command(name="list")
@data_dir_option
@json_option
def list_users(*, data_dir: Path | None, as_json_lines: bool) -> None:
    """List everybody, by name."""
    found = asyncio.run(_list(chosen(data_dir=data_dir)))
    if as_json_lines:
        for user in found:
            as_json(user)
        return
    table(
        ("NAME", "ACTIVE", "SUPERUSER", "CREATED", "LAST SIGN-IN", "ID"),
        (
            (
                user.username,
                "yes" if user.is_active else "no",
                "yes" if user.is_superuser else "no",
                f"{user.created_at:%Y-%m-%d %H:%M}",
                f"{user.last_login_at:%Y-%m-%d %H:%M}" if user.last_login_at else "",
                user.id,
            )
            for user in found
        ),
    )


@users.command()
@click.argument("name")
@click.option("--superuser", is_flag=True, help="May look after other users.")
@click.option("--inactive", is_flag=True, help="May not sign in yet.")
@click.option("--password-stdin", is_flag=True, help="Read the password from a pipe.")
@data_dir_option
@json_option
def create(
    name: str,
    *,
    superuser: bool,
    inactive: bool,
    password_stdin: bool,
    data_dir: Path | None,
    as_json_lines: bool,
) -> None:
    """Add somebody. Without a password given, one is made up and shown once."""
    given = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    password = given or secrets.token_urlsafe(12)
    settings = chosen(data_dir=data_dir)
    user = asyncio.run(
        _create(settings, name, password, superuser=superuser, active=not inactive)
    )
    shown = {} if given else {"password": password}
    if as_json_lines:
        as_json({"id": user, "username": name, **shown})
        return
    out = console()
    out.print(f"Added {name}.", markup=False)
    if shown:
        out.print(f"  password  {password}   (shown once)", markup=False)


@users.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@data_dir_option
@json_option
def erase(name: str, *, yes: bool, data_dir: Path | None, as_json_lines: bool) -> None:
    """
    Erase somebody with all that is theirs, for ever. NAME may also be an id.

    Killed in the middle, it finishes when it is run again.
    """
    settings = chosen(data_dir=data_dir)
    if not yes and not as_json_lines:
        click.confirm(
            f"Erase {name}, with all flows, runs, messages and files? It cannot be "
            "undone, not even from a backup without its keys",
            abort=True,
        )
    erased = asyncio.run(_erase(settings, name))
    if as_json_lines:
        as_json(erased)
        return
    out = console()
    out.print(f"Erased {name}.", markup=False)
    for kind, count in erased.destroyed.items():
        out.print(f"  {kind.replace('_', ' '):<15}{count:>8}", markup=False)
    out.print(f"  {LEFT}", markup=False)


async def _erase(settings: Settings, name: str) -> Erased:
    async with open_world(settings) as world:
        user = await world.claims.holder("username", name) or _id(name)
        if user is None:
            raise Complaint(
                f"There is nobody called {name}: see langbuilder users list."
            )
        done = await world.erasure.erase(SYSTEM, user, cause=_cause())
        # Without a server beside us nobody else would take them out of the views.
        if not await told(world, within=PATIENCE):
            raise Complaint(
                "The key is destroyed, but the read tables are behind: see "
                "langbuilder projections status."
            )
        return done.result


def _id(words: str) -> UUID | None:
    with suppress(ValueError):
        return UUID(words)
    return None


async def _list(settings: Settings) -> list["UserRow"]:
    from projections.users.views import UserViews  # noqa: PLC0415 - not for help

    async with open_world(settings) as world:
        await told(world, within=PATIENCE)
        return await _everybody(UserViews(world.database.engine))


async def _everybody(views: "UserViews") -> list["UserRow"]:
    found: list[UserRow] = []
    total = 1
    while len(found) < total:
        page, total = await views.page(skip=len(found), limit=PAGE)
        found += page
        if not page:
            break
    return sorted(found, key=lambda user: user.username)


async def _create(
    settings: Settings, name: str, password: str, *, superuser: bool, active: bool
) -> UUID:
    async with open_world(settings, anew=True) as world:
        done = await world.users.register(
            name, password, active=active, superuser=superuser, cause=_cause()
        )
        return done.result.id


def _cause() -> Cause:
    command = uuid4()
    return Cause(actor=SYSTEM, command_id=command, correlation_id=command)
