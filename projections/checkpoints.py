"""Where each generation of a projection has got to, and which one is being served."""

from hashlib import blake2b
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from domain.kernel import Log

SHARED: LiteralString = (
    "SELECT set_config('synchronous_commit', 'off', true),"
    " set_config('lock_timeout', '5s', true),"
    " set_config('statement_timeout', '120s', true),"
    " pg_advisory_xact_lock_shared(%s)"
)
"""How a projection's transaction begins; its rows can always be made again."""
EXCLUSIVE: LiteralString = "SELECT pg_advisory_xact_lock(%s)"

type State = Literal["live", "building", "retired", "interrupted", "failed"]
"""
What a generation is: served, being filled, served before, or not finished.

Interrupted is a rebuild that somebody cancelled, or that ended with its process: the
next one goes on with it. A failed one met an event that it could not take.
"""

# Who is fenced divides by zero: an error undoes what was sent along with the fence,
# so nobody has to wait for its answer.
FENCE: LiteralString = (
    "WITH moved AS (UPDATE es.projections SET position = %s, updated_at = now(),"
    " failure = NULL WHERE name = %s AND version = %s AND log = %s AND position = %s"
    " AND epoch = %s AND state = %s"
    " RETURNING position) SELECT 1 / count(*) FROM moved"
)
PARK: LiteralString = (
    "INSERT INTO es.dead_letters"
    " (projection, version, log, stream, position, stream_version, tag, unreadable,"
    " tries, reason) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)

_STANDING: LiteralString = (
    "SELECT log, position, epoch, state, archives FROM es.projections"
    " WHERE name = %s AND version = %s"
)
# A release that did not know the column said it in the reason alone.
_HELD: LiteralString = (
    "SELECT stream, log, position, unreadable OR reason LIKE 'UnreadableEventError:%%'"
    " OR reason LIKE 'UnknownTagError:%%' FROM es.dead_letters"
    " WHERE projection = %s AND version = %s ORDER BY log, position"
)
_SKIPPED: LiteralString = (
    "SELECT log, position FROM es.skipped_events WHERE projection = %s"
)
_BEGIN: LiteralString = (
    "INSERT INTO es.projections (name, version, log, state, archives)"
    " VALUES (%s, %s, %s, 'building', %s) ON CONFLICT DO NOTHING"
)
_SERVED: LiteralString = (
    "SELECT name, version, log, position FROM es.projections WHERE active"
)
_ACTIVATE: LiteralString = (
    "UPDATE es.projections SET active = (version = %(version)s),"
    " state = CASE WHEN version = %(version)s THEN 'live'"
    " WHEN active THEN 'retired' ELSE state END,"
    " failure = CASE WHEN version = %(version)s THEN NULL ELSE failure END,"
    " updated_at = CASE WHEN version = %(version)s OR active THEN clock_timestamp()"
    " ELSE updated_at END WHERE name = %(name)s"
)
_MARK: LiteralString = (
    "UPDATE es.projections SET state = %(state)s, failure = %(failure)s,"
    " events_per_second = NULL, seconds_left = NULL, updated_at = clock_timestamp()"
    " WHERE name = %(name)s AND version = %(version)s AND NOT active"
)
_PACE: LiteralString = (
    "UPDATE es.projections SET events_per_second = %(rate)s, seconds_left = %(left)s"
    " WHERE name = %(name)s AND version = %(version)s AND state = 'building'"
)
# The time of the last move stays as it is: nothing has moved.
_TROUBLE: LiteralString = (
    "UPDATE es.projections SET failure = %(failure)s"
    " WHERE name = %(name)s AND version = %(version)s AND active"
    " AND failure IS DISTINCT FROM %(failure)s"
)
_BEFORE: LiteralString = (
    "SELECT version FROM es.projections WHERE name = %s AND state = 'retired'"
    " GROUP BY version ORDER BY max(updated_at) DESC, version DESC LIMIT 1"
)


class FencedError(Exception):
    """Somebody else has moved this checkpoint, or another generation is served."""


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a generation does not get on; at which event, if it was one."""

    reason: str
    log: Log | None = None
    position: int | None = None
    stream: UUID | None = None
    tag: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """How far a generation has got, and what its checkpoint's fence must be told."""

    positions: dict[Log, int]
    epoch: int
    state: State
    archives: bool = False
    """Whether it is filled from archived events too."""


class Held(msgspec.Struct, frozen=True):
    """A stream that waits behind the event at a position."""

    stream: UUID
    log: Log
    position: int
    unreadable: bool


class Served(msgspec.Struct, frozen=True):
    """The generation of a projection that is served, and its checkpoints."""

    generation: int
    positions: dict[Log, int]


def lock_key(*words: str) -> int:
    """Return the number of the advisory lock that stands for *words*."""
    digest = blake2b("/".join(words).encode(), digest_size=8, person=b"projections")
    return int.from_bytes(digest.digest(), signed=True)


async def standing(
    connection: AsyncConnection[Any], name: str, version: int
) -> Standing:
    """Return the checkpoints of a generation, log by log; none if there is no such."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_STANDING, (name, version))
    rows = await cursor.fetchall()
    positions: dict[Log, int] = {log: position for log, position, *_ in rows}
    if not rows:
        return Standing({}, 0, "retired")
    epoch = max(epoch for _, _, epoch, *_ in rows)
    [*_, state, archives] = rows[0]
    return Standing(positions, epoch, state, archives)


async def held(connection: AsyncConnection[Any], name: str, version: int) -> list[Held]:
    """Return the streams that wait behind a dead letter, by log and position."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_HELD, (name, version))
    return [Held(*row) for row in await cursor.fetchall()]


async def skipped(connection: AsyncConnection[Any], name: str) -> set[tuple[Log, int]]:
    """Return the places of the events that *name* goes on without."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_SKIPPED, (name,))
    return set(await cursor.fetchall())


async def begin(
    connection: AsyncConnection[Any],
    name: str,
    version: int,
    log: Log,
    *,
    archives: bool = False,
) -> None:
    """Put a checkpoint at zero, unless there is one."""
    await connection.execute(_BEGIN, (name, version, log, archives))


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


async def mark(
    connection: AsyncConnection[Any],
    name: str,
    version: int,
    state: State,
    failure: Failure | None = None,
) -> None:
    """Say what has become of a generation that is not served."""
    await connection.execute(
        _MARK,
        {"name": name, "version": version, "state": state, "failure": _json(failure)},
    )


async def trouble(
    connection: AsyncConnection[Any], name: str, version: int, failure: Failure
) -> None:
    """Say what keeps the generation that is served from moving, until it moves."""
    await connection.execute(
        _TROUBLE, {"name": name, "version": version, "failure": _json(failure)}
    )


async def pace(
    connection: AsyncConnection[Any],
    name: str,
    version: int,
    *,
    rate: float,
    left: float,
) -> None:
    """Say how fast a rebuild goes, for whoever asks any server."""
    await connection.execute(
        _PACE, {"name": name, "version": version, "rate": rate, "left": left}
    )


async def before(connection: AsyncConnection[Any], name: str) -> int | None:
    """Return the generation that was served until another took its place."""
    cursor = connection.cursor(row_factory=tuple_row)
    await cursor.execute(_BEFORE, (name,))
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def forget(connection: AsyncConnection[Any], name: str, version: int) -> None:
    """Remove the checkpoints and dead letters of a generation."""
    await connection.execute(
        "DELETE FROM es.projections WHERE name = %s AND version = %s", (name, version)
    )
    await connection.execute(
        "DELETE FROM es.dead_letters WHERE projection = %s AND version = %s",
        (name, version),
    )


def _json(failure: Failure | None) -> Jsonb | None:
    return None if failure is None else Jsonb(msgspec.to_builtins(failure))
