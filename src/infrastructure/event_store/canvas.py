"""Where things lie on a flow's canvas, in PostgreSQL: the last value wins."""

from collections.abc import Mapping, Sequence
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
    async def of_each(self, flows: Sequence[UUID]) -> dict[UUID, dict[str, Json]]:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT flow, state::text FROM es.canvas WHERE flow = ANY (%s::uuid[])",
                [list(flows)],
            )
            return {
                flow: msgspec.json.decode(state, type=dict[str, Json])
                for flow, state in await found.fetchall()
            }

    @override
    async def put(self, states: Mapping[UUID, dict[str, Json]]) -> None:
        encoded = [msgspec.json.encode(state).decode() for state in states.values()]
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO es.canvas (flow, state)"
                " SELECT flow, state::json FROM unnest(%s::uuid[], %s::text[])"
                " AS i(flow, state) ON CONFLICT (flow) DO UPDATE"
                " SET state = excluded.state, updated_at = clock_timestamp()",
                [list(states), encoded],
            )

    @override
    async def drop(self, flows: Sequence[UUID]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM es.canvas WHERE flow = ANY (%s::uuid[])", [list(flows)]
            )
