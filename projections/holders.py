"""Which process leads a projection or rebuilds it, as the database's locks tell."""

import os
import socket
from collections.abc import Mapping
from typing import Any, Final, Literal

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import tuple_row

from infrastructure.event_store.statements import named
from infrastructure.postgres import NAME, connection_string
from projections import checkpoints

type Part = Literal["leads", "rebuilds"]

LONGEST_HOST = 32  # PostgreSQL cuts a connection's name at 63 bytes

SQL: Final = named("status.sql", package="projections")


def named_dsn(dsn: str, part: Part) -> str:
    """Return *dsn* with the name of this process, and what it does, for operators."""
    host = socket.gethostname()[:LONGEST_HOST]
    name = f"{NAME} {part} {host}:{os.getpid()}"
    return make_conninfo(connection_string(dsn), application_name=name)


def leader_key(name: str) -> int:
    """Return the number of the lock that the leader of *name* holds."""
    return checkpoints.lock_key("leader", name)


def rebuild_key(name: str) -> int:
    """Return the number of the lock that whoever rebuilds *name* holds."""
    return checkpoints.lock_key("rebuild", name)


async def holders(
    connection: AsyncConnection[Any], keys: Mapping[str, int]
) -> dict[str, str]:
    """Return the process (``host:pid``) that holds each of *keys*, where one does."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(
        SQL["holders"], {"words": list(keys), "keys": list(keys.values())}
    )
    return {word: _process(name, pid) for word, name, pid in await cursor.fetchall()}


def is_older(holder: str) -> bool:
    """Tell whether a release holds it that did not yet say who it is."""
    return holder.startswith(_UNNAMED)


_UNNAMED = "database process "


def _process(application_name: str | None, pid: int) -> str:
    head, _, process = (application_name or "").rpartition(" ")
    return process if head.startswith(f"{NAME} ") else f"{_UNNAMED}{pid}"
