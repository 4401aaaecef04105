"""Where each generation of a projection has got to, and which one is being served."""

from hashlib import blake2b
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import tuple_row

from domain.kernel import Log

SHARED: LiteralString = (
    "SELECT set_config('synchronous_commit', 'off', true),"
    " set_config('lock_timeout', '5s', true),"
    " set_config('statement_timeout', '120s', true),"
    " pg_advisory_xact_lock_shared(%s)"
)
"""How a projection's transaction begins; its rows can always be made again."""
EXCLUSIVE: LiteralString = "SELECT pg_advisory_xact_lock(%s)"

# Who is fenced divides by zero: an error undoes what was sent along with the fence,
# so nobody has to wait for its answer.
FENCE: LiteralString = (
    "WITH moved AS (UPDATE es.projections SET position = %s, updated_at = now()"
    " WHERE name = %s AND version = %s AND log = %s AND position = %s"
    " RETURNING position) SELECT 1 / count(*) FROM moved"
)
FENCE_ACTIVE: LiteralString = (
    "WITH moved AS (UPDATE es.projections SET position = %s, updated_at = now()"
    " WHERE name = %s AND version = %s AND log = %s AND position = %s AND active"
    " RETURNING position) SELECT 1 / count(*) FROM moved"
)
PARK: LiteralString = (
    "INSERT INTO es.dead_letters"
    " (projection, version, log, stream, position, reason)"
    " VALUES (%s, %s, %s, %s, %s, %s)"
)

_POSITIONS: LiteralString = (
    "SELECT log, position FROM es.projections WHERE name = %s AND version = %s"
)
_HELD: LiteralString = (
    "SELECT stream FROM es.dead_letters WHERE projection = %s AND version = %s"
)
_BEGIN: LiteralString = (
    "INSERT INTO es.projections (name, version, log, state)"
    " VALUES (%s, %s, %s, 'building') ON CONFLICT DO NOTHING"
)
_SERVED: LiteralString = (
    "SELECT name, version, log, position FROM es.projections WHERE active"
)
_ACTIVATE: LiteralString = (
    "UPDATE es.projections SET active = (version = %(version)s),"
    " state = CASE WHEN version = %(version)s THEN 'live' ELSE 'retired' END,"
    " updated_at = now() WHERE name = %(name)s"
)
_ALL: LiteralString = (
    "SELECT p.name, p.version, p.log, p.position, p.state,"
    " (SELECT count(*) FROM es.dead_letters AS d WHERE d.projection = p.name"
    " AND d.version = p.version AND d.log = p.log)"
    " FROM es.projections AS p ORDER BY p.name, p.version, p.log"
)


class FencedError(Exception):
    """Somebody else has moved this checkpoint, or another generation is served."""


class Checkpoint(msgspec.Struct, frozen=True):
    """How far one generation of a projection has got in one log."""

    name: str
    version: int
    log: Log
    position: int
    state: str
    dead_letters: int


class Served(msgspec.Struct, frozen=True):
    """The generation of a projection that is served, and its checkpoints."""

    generation: int
    positions: dict[Log, int]


def lock_key(*words: str) -> int:
    """Return the number of the advisory lock that stands for *words*."""
    digest = blake2b("/".join(words).encode(), digest_size=8, person=b"projections")
    return int.from_bytes(digest.digest(), signed=True)


async def positions(
    connection: AsyncConnection[Any], name: str, version: int
) -> dict[Log, int]:
    """Return the checkpoints of a generation, log by log."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_POSITIONS, (name, version))
    return dict(await cursor.fetchall())


async def held(connection: AsyncConnection[Any], name: str, version: int) -> set[UUID]:
    """Return the streams that wait behind a dead letter."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_HELD, (name, version))
    return {stream for (stream,) in await cursor.fetchall()}


async def begin(
    connection: AsyncConnection[Any], name: str, version: int, log: Log
) -> None:
    """Put a checkpoint at zero, unless there is one."""
    await connection.execute(_BEGIN, (name, version, log))


async def activate(connection: AsyncConnection[Any], name: str, version: int) -> None:
    """Say that this generation is served from now on."""
    await connection.execute(_ACTIVATE, {"name": name, "version": version})


async def served(connection: AsyncConnection[Any]) -> dict[str, Served]:
    """Return the generation of each projection that is served."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_SERVED)
    found: dict[str, Served] = {}
    for name, version, log, position in await cursor.fetchall():
        found.setdefault(name, Served(version, {})).positions[log] = position
    return found


async def everything(connection: AsyncConnection[Any]) -> list[Checkpoint]:
    """Return every checkpoint there is."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_ALL)
    return [Checkpoint(*row) for row in await cursor.fetchall()]


async def forget(connection: AsyncConnection[Any], name: str, version: int) -> None:
    """Remove the checkpoints and dead letters of a generation."""
    await connection.execute(
        "DELETE FROM es.projections WHERE name = %s AND version = %s", (name, version)
    )
    await connection.execute(
        "DELETE FROM es.dead_letters WHERE projection = %s AND version = %s",
        (name, version),
    )
