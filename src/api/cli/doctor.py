"""``langbuilder doctor``: whether everything a server needs is there, and in order."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from api.cli.output import Complaint, as_json, console, json_option
from api.cli.settings import chosen, data_dir_option
from api.cli.world import open_world
from infrastructure.settings import Settings, unknown
from infrastructure.starting import CannotStartError

if TYPE_CHECKING:
    from infrastructure.postgres import Database

OLDEST_POSTGRES = 15
UNSEALED = timedelta(minutes=5)
LEAST_SPACE = 1024**3
MARKS = {"good": "[green]✓[/]", "doubtful": "[yellow]![/]", "bad": "[red]✗[/]"}


class Finding(msgspec.Struct, frozen=True):
    """What was looked at, how it is, and what to do about it."""

    subject: str
    state: Literal["good", "doubtful", "bad"]
    words: str


@click.command()
@data_dir_option
@json_option
def doctor(*, data_dir: Path | None, as_json_lines: bool) -> None:
    """Check settings, data directory, database, read tables and the server."""
    findings = asyncio.run(_examine(data_dir))
    for finding in findings:
        if as_json_lines:
            as_json(finding)
        else:
            console().print(f"{MARKS[finding.state]} {finding.subject:<14} ", end="")
            console().print(finding.words, markup=False)
    if any(finding.state == "bad" for finding in findings):
        sys.exit(Complaint.exit_code)


async def _examine(data_dir: Path | None) -> list[Finding]:
    try:
        settings = chosen(data_dir=data_dir)
    except CannotStartError as error:
        return [Finding("settings", "bad", str(error))]
    server = await asyncio.to_thread(_server, settings)
    findings = [_settings(), _space(settings), server]
    try:
        findings += [finding async for finding in _data(settings)]
    except CannotStartError as error:
        findings.append(Finding("database", "bad", str(error)))
    if settings.redis_url:
        findings.append(await _redis(settings.redis_url))
    return findings


def _settings() -> Finding:
    strange = unknown()
    if strange:
        return Finding("settings", "doubtful", f"no settings: {', '.join(strange)}")
    return Finding("settings", "good", "all can be used")


def _space(settings: Settings) -> Finding:
    path = settings.data_path
    existing = next(p for p in (path, *path.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    words = f"{path}, {free / 1024**3:.1f} GB free"
    return Finding(
        "data directory", "good" if free > LEAST_SPACE else "doubtful", words
    )


def _server(settings: Settings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    connection = HTTPConnection(settings.host, settings.port, timeout=2)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
    except (OSError, HTTPException):
        return Finding("server", "good", f"not running at {address}")
    finally:
        connection.close()
    if answer.status == HTTPStatus.OK:
        return Finding("server", "good", f"running at {address}")
    return Finding("server", "bad", f"{address} answers {answer.status}")


async def _data(settings: Settings) -> AsyncIterator[Finding]:
    from projections.status import status  # noqa: PLC0415 - not for help

    async with open_world(settings, anew=True) as world:
        version = await _postgres_version(world.database)
        yield Finding(
            "database",
            "good" if version >= OLDEST_POSTGRES else "bad",
            f"PostgreSQL {version}; {OLDEST_POSTGRES} or newer is needed",
        )
        head = await world.store.head()
        yield Finding("logs", "good", f"core={head.core}, runs={head.runs}")
        yield _sealed(await world.evidence.waiting_since())
        for one in await status(world.database, world.store):
            if one.state == "live":
                fine = one.health != "stuck" and not one.dead_letters
                words = (
                    f"{one.health} in {one.log}, {one.lag} behind,"
                    f" {one.dead_letters} parked"
                )
                yield Finding(one.name, "good" if fine else "doubtful", words)


def _sealed(since: datetime | None) -> Finding:
    if since is None or datetime.now(UTC) - since < UNSEALED:
        return Finding("history", "good", "sealed as it grows")
    words = f"not sealed since {since:%Y-%m-%d %H:%M} UTC; a server that runs seals it"
    return Finding("history", "doubtful", words)


async def _postgres_version(database: "Database") -> int:
    async with database.pool.connection() as connection:
        return connection.info.server_version // 10_000


async def _redis(url: str) -> Finding:
    # Few have one.
    from redis.asyncio import Redis  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        async with Redis.from_url(url, socket_connect_timeout=2) as redis:
            await redis.ping()
    except (RedisError, OSError) as error:
        return Finding("Redis", "bad", str(error))
    return Finding("Redis", "good", "answers")
