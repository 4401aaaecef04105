"""Which worker holds which run, in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import override
from uuid import UUID

from application.ports import Lease, Leases
from infrastructure.postgres import Database


class PostgresLeases(Leases):
    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    @override
    async def renew(
        self, worker: str, runs: Sequence[UUID], *, until: datetime
    ) -> set[UUID]:
        async with self._pool.connection() as connection:
            held = await connection.execute(
                "UPDATE es.leases SET expires_at = %s"
                " WHERE worker = %s AND run = ANY (%s::uuid[]) RETURNING run",
                [until, worker, list(runs)],
            )
            return {run for (run,) in await held.fetchall()}

    @override
    async def expired(self, *, now: datetime, limit: int = 100) -> list[Lease]:
        async with self._pool.connection() as connection:
            stale = await connection.execute(
                "SELECT run, worker, attempt, expires_at FROM es.leases"
                " WHERE expires_at < %s ORDER BY expires_at LIMIT %s",
                [now, limit],
            )
            return [Lease(*row) for row in await stale.fetchall()]
