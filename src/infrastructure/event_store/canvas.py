"""Where things lie on a flow's canvas, in PostgreSQL: the last value wins."""

from collections.abc import Sequence
from typing import override
from uuid import UUID

import msgspec

from application.ports import Canvas
from domain.kernel import Json
from infrastructure.postgres import Database


class PostgresCanvas(Canvas):
    def __init__(self, database: Database) -> None:
        self._pool = database.pool

    @override
    async def get(self, flow: UUID) -> dict[str, Json]:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT state::text FROM es.canvas WHERE flow = %s", [flow]
            )
            row = await found.fetchone()
        return msgspec.json.decode(row[0], type=dict[str, Json]) if row else {}

    @override
    async def put(self, flow: UUID, state: dict[str, Json]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO es.canvas (flow, state) VALUES (%s, %s::json)"
                " ON CONFLICT (flow) DO UPDATE"
                " SET state = excluded.state, updated_at = clock_timestamp()",
                [flow, msgspec.json.encode(state).decode()],
            )

    @override
    async def drop(self, flows: Sequence[UUID]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM es.canvas WHERE flow = ANY (%s::uuid[])", [list(flows)]
            )
