"""A log with sealed events, and hands that may do anything to them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from application.ports import Blobs
from application.ports.evidence import Finding, Head, LogEvidence
from domain.kernel import Aggregate
from infrastructure.archive.evidence import PostgresArchivedEntries
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.evidence.sealer import Sealer
from infrastructure.evidence.verification import PostgresEvidence
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from tests.contracts.event_stores import Named, because

SECRET = "the key of this installation, which is long"
KEYS = Keyring(SECRET)


class Room:
    """One database: its store, a sealer of small segments, and the evidence."""

    def __init__(
        self, database: Database, store: PostgresEventStore, blobs: Blobs
    ) -> None:
        self.database = database
        self.store = store
        self.blobs = blobs
        self.evidence = self.evidence_at(database.dsn)

    def evidence_at(self, dsn: str) -> PostgresEvidence:
        sign = KEYS.sign_history
        return PostgresEvidence(
            dsn,
            sign,
            lambda connection: PostgresArchivedEntries(connection, self.blobs, sign),
        )

    async def append(self, *aggregates: Aggregate[Any]) -> None:
        for aggregate in aggregates:
            await self.store.save(aggregate, cause=because())

    async def seal(self, *, largest: int = 4) -> int:
        sealer = Sealer(self.database.dsn, KEYS.sign_history, largest=largest)
        try:
            return await sealer.seal()
        finally:
            await sealer.close()

    async def filled(self, *streams: str, events: int = 3) -> list[UUID]:
        """Append streams of a few events each, and seal them by fours."""
        found = []
        for name in streams:
            named = Named.called(*(f"{name} {n}" for n in range(events)))
            await self.append(named)
            found.append(named.id)
        await self.seal()
        return found

    async def verify(self, head: Head | None = None) -> LogEvidence:
        core, _ = await self.evidence.verify(head=head)
        return core

    async def findings(self, head: Head | None = None) -> list[Finding]:
        return (await self.verify(head)).findings

    async def told(self, head: Head | None = None) -> list[tuple[Any, ...]]:
        """Verify; return what was found as kind, position, stream and version."""
        return [
            (one.kind, one.position, one.stream, one.version)
            for one in await self.findings(head)
        ]

    async def positions(self, log: str = "core") -> list[tuple[int, UUID, int]]:
        return await self.ask(
            "SELECT notification_id, originator_id, originator_version"
            f" FROM es.{log}_events ORDER BY 1"
        )

    async def ask(self, sql: str, *values: Any) -> list[Any]:
        async with self.database.pool.connection() as connection:
            return await (
                await connection.execute(sql.encode(), values or None)
            ).fetchall()

    async def tamper(self, sql: str, *values: Any) -> int:
        """Do something as the owner of the tables; return how many rows it hit."""
        async with await AsyncConnection.connect(
            self.database.migration_dsn, autocommit=True
        ) as connection:
            return (await connection.execute(sql.encode(), values or None)).rowcount

    async def refused(self, statements: Sequence[str]) -> list[str]:
        """Return those of *statements* that the application's role may not do."""
        refused = []
        async with self.database.pool.connection() as connection:
            for sql in statements:
                try:
                    await connection.execute(sql.encode())
                except psycopg.errors.InsufficientPrivilege:
                    refused.append(sql)
        return refused
