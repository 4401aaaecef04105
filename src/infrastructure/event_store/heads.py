"""How long streams are, read from PostgreSQL."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from domain.kernel import Log
from infrastructure.postgres import Database

# The last version of each by a step down the primary key, whatever its length.
_VERSIONS: Final = {
    log: f"""
        SELECT i.stream, e.originator_version
        FROM unnest(%s::uuid[]) AS i(stream)
        CROSS JOIN LATERAL (
            SELECT originator_version FROM es.{log}_events
            WHERE originator_id = i.stream
            ORDER BY originator_version DESC LIMIT 1
        ) AS e
    """  # noqa: S608  two names of our own
    for log in ("core", "runs")
}


class PostgresHeads:
    """Asks the logs themselves."""

    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    async def versions(self, log: Log, streams: Sequence[UUID], /) -> dict[UUID, int]:
        """Return the last version of those of *streams* that exist, in one read."""
        async with self._pool.connection() as connection:
            found = await connection.execute(_VERSIONS[log], [list(streams)])
            return dict(await found.fetchall())
