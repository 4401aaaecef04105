"""What is left of somebody in PostgreSQL and in the blob store, and how it goes."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, override
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable
from psycopg.rows import TupleRow
from psycopg.types.numeric import Int8

from application.ports import Blobs, StoreBusyError
from application.ports.estate import Estate
from infrastructure.event_store.statements import LOCK_KEYS, SESSION, named
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys

AT_A_TIME: Final = 500
_BLOBS_AT_A_TIME: Final = 16
_PATIENCE: Final = "5s"
_STATEMENTS: Final = named("remains.sql")
_BY_RESOURCE: Final = (
    "claims",
    "canvases",
    "leases",
    "api_key_uses",
    "snapshots",
    "dead_letters",
    "failures",
    "resources",
)
"""What hangs on a resource; who owns it goes last, for it leads to the others."""


class PostgresEstate(Estate):
    """Everything of a person, found by their id and by what they own."""

    def __init__(
        self, database: Database, keys: PostgresSubjectKeys, blobs: Blobs
    ) -> None:
        self._database = database
        self._keys = keys
        self._blobs = blobs
        self._deleting = asyncio.Semaphore(_BLOBS_AT_A_TIME)

    @override
    async def closed(self, subject: UUID) -> bool:
        [(closed,)] = await self._ask("closed", subject=subject)
        return bool(closed)

    @override
    async def going_on(self, subject: UUID) -> Sequence[UUID]:
        return [run for (run,) in await self._ask("going_on", subject=subject)]

    @override
    async def flows(self, subject: UUID, *, after: UUID | None) -> Sequence[UUID]:
        found = await self._ask("flows", subject=subject, after=after, limit=AT_A_TIME)
        return [flow for (flow,) in found]

    @override
    async def close(self, subject: UUID) -> None:
        try:
            async with (
                self._database.pool.connection() as connection,
                connection.transaction(),
            ):
                await connection.execute(f"SET LOCAL lock_timeout = '{_PATIENCE}'")
                for key in LOCK_KEYS.values():
                    await connection.execute(SESSION["lock"], {"key": Int8(key)})
                await connection.execute(_STATEMENTS["close"], {"subject": subject})
        except LockNotAvailable as busy:
            raise StoreBusyError from busy
        self._keys.forget(subject)

    @override
    async def clear(self, subject: UUID) -> Mapping[str, int]:
        gone: Counter[str] = Counter()
        while some := await self._some("blobs", subject):
            await asyncio.gather(*(self._delete_blob(address) for _, address in some))
            gone += await self._delete(("blobs",), [key for key, _ in some])
        while some := await self._some("contents", subject):
            # Blobs before the rows that alone tell where they lie.
            addresses = [address for _, address in some if address is not None]
            await asyncio.gather(*map(self._delete_blob, addresses))
            gone["blobs"] += len(addresses)
            ids = [content for content, _ in some]
            gone += await self._delete(("claims", "contents"), ids)
        while some := await self._some("secrets", subject):
            secrets = [secret for (secret,) in some]
            gone += await self._delete(("claims", "secrets"), secrets)
        while some := await self._some("resources", subject):
            resources = [resource for (resource,) in some]
            gone += await self._delete(_BY_RESOURCE, resources)
        for name in ("stray_letters", "answers", "links", "sessions"):
            gone[name] += await self._do(name, subject=subject)
        gone += await self._delete(_BY_RESOURCE, [subject])
        gone["dead_letters"] += gone.pop("stray_letters", 0)
        return {kind: gone[kind] for kind in sorted(gone) if gone[kind]}

    async def _delete(
        self, kinds: Sequence[str], ids: Sequence[UUID] | Sequence[str]
    ) -> Counter[str]:
        gone: Counter[str] = Counter()
        async with (
            self._database.pool.connection() as connection,
            connection.transaction(),
        ):
            for kind in kinds:
                gone[kind] += await _count(connection, kind, ids=list(ids))
        return gone

    async def _delete_blob(self, address: str) -> None:
        async with self._deleting:
            await self._blobs.delete(address)

    async def _some(self, kind: str, subject: UUID) -> list[TupleRow]:
        return await self._ask(f"some_{kind}", subject=subject, limit=AT_A_TIME)

    async def _ask(self, name: str, **parameters: object) -> list[TupleRow]:
        async with self._database.pool.connection() as connection:
            found = await connection.execute(_STATEMENTS[name], parameters)
            return await found.fetchall()

    async def _do(self, name: str, **parameters: object) -> int:
        async with self._database.pool.connection() as connection:
            return await _count(connection, name, **parameters)


async def _count(
    connection: AsyncConnection[Any], name: str, **parameters: object
) -> int:
    return (await connection.execute(_STATEMENTS[name], parameters)).rowcount
