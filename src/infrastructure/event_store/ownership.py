"""Who owns what, read from PostgreSQL."""

from collections.abc import Sequence
from typing import override
from uuid import UUID

from application.gathered import Gathered
from application.ports import Owned, Ownership
from infrastructure.postgres import Database


class PostgresOwnership(Ownership):
    def __init__(self, database: Database) -> None:
        self._pool = database.pool
        self._gathered = Gathered(self._known)

    @override
    async def of(self, resource: UUID) -> Owned | None:
        return await self._gathered.of(resource)

    async def _known(self, resources: Sequence[UUID]) -> dict[UUID, Owned]:
        return {owned.resource: owned for owned in await self.of_each(resources)}

    @override
    async def of_each(self, resources: Sequence[UUID]) -> list[Owned]:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT resource, kind, owner, project FROM es.ownership"
                " WHERE resource = ANY(%s)",
                [list(resources)],
            )
            return [Owned(*row) for row in await found.fetchall()]

    @override
    async def in_project(self, project: UUID, kind: str) -> list[UUID]:
        async with self._pool.connection() as connection:
            found = await connection.execute(
                "SELECT resource FROM es.ownership WHERE project = %s AND kind = %s"
                " ORDER BY resource",
                [project, kind],
            )
            return [resource for (resource,) in await found.fetchall()]
