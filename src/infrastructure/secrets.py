"""Contents and secrets: sealed with their subject's key before a save stores them."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple, override
from uuid import UUID, uuid4

from application.gathered import Gathered
from application.ports import (
    Blobs,
    Content,
    ContentMissingError,
    Contents,
    Sealed,
    Vault,
)
from domain.kernel import ContentRef
from infrastructure.blobs.several import delete_all
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.keyring import DataKey, Keyring
from infrastructure.postgres import Database
from infrastructure.subject_keys import (
    PostgresSubjectKeys,
    SubjectKeys,
)

LARGEST_ROW = 64 * 1024
"""Sealed bytes beyond this go to the blob store."""

_LONG_WORK = 1024 * 1024  # bytes; more of them would hold up the event loop
_BLOBS_AT_A_TIME = 16


class _SealedContent(NamedTuple):
    id: UUID
    subject: UUID
    sealed: bytes
    address: str | None
    key: DataKey


class _ContentSealer:
    """What both adapters of `Contents` do alike."""

    def __init__(
        self, keyring: Keyring, keys: SubjectKeys, blobs: Blobs | None
    ) -> None:
        self._keyring = keyring
        self._keys = keys
        self._blobs = blobs
        self._fetching = asyncio.Semaphore(_BLOBS_AT_A_TIME)

    async def seal(self, subject: UUID, data: bytes) -> Content:
        key = await self._keys.of(subject)
        content_id = uuid4()
        bound_to = _content_bond(subject, content_id)

        def work() -> tuple[str, bytes]:
            return self._keyring.digest(data), key.seal(data, bound_to=bound_to)

        long = len(data) > _LONG_WORK
        digest, sealed = await asyncio.to_thread(work) if long else work()
        ref = ContentRef(id=content_id, digest=digest, size=len(data))
        if self._blobs is None or len(sealed) <= LARGEST_ROW:
            return Content(ref=ref, subject=subject, sealed=sealed)
        address = await self._blobs.put(sealed)
        return Content(ref=ref, subject=subject, sealed=b"", address=address)

    async def opened(self, rows: Iterable[_SealedContent]) -> dict[UUID, bytes]:
        rows = list(rows)
        opened = await asyncio.gather(*map(self._opened, rows))
        return {
            row.id: data
            for row, data in zip(rows, opened, strict=True)
            if data is not None
        }

    async def _opened(self, row: _SealedContent) -> bytes | None:
        sealed = row.sealed
        if row.address is not None and self._blobs is not None:
            try:
                async with self._fetching:
                    sealed = await self._blobs.get(row.address)
            except ContentMissingError:
                return None
        bound_to = _content_bond(row.subject, row.id)
        if len(sealed) > _LONG_WORK:
            return await asyncio.to_thread(row.key.open, sealed, bound_to=bound_to)
        return row.key.open(sealed, bound_to=bound_to)


class PostgresContents(Contents):
    """Contents in ``es.contents``; long ones in the blob store, equally sealed."""

    _OPEN = """
        SELECT c.id, c.subject, c.sealed, c.address, k.wrapped, k.key_id
        FROM es.contents AS c JOIN es.subject_keys AS k USING (subject)
        WHERE c.id = ANY(%s) AND k.wrapped <> ''
    """
    _ADDRESSES = """
        SELECT address FROM es.contents WHERE id = ANY(%s) AND address IS NOT NULL
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        blobs: Blobs,
        keys: PostgresSubjectKeys | None = None,
    ) -> None:
        self._database = database
        self._keys = keys or PostgresSubjectKeys(database, keyring)
        self._blobs = blobs
        self._sealer = _ContentSealer(keyring, self._keys, blobs)
        self._gathered = Gathered(self._open)

    @override
    async def seal(self, subject: UUID, data: bytes) -> Content:
        return await self._sealer.seal(subject, data)

    @override
    async def open(self, ids: Sequence[UUID]) -> dict[UUID, bytes]:
        if not ids:
            return {}
        if len(ids) > 1:
            return await self._open(ids)
        [content] = ids
        opened = await self._gathered.of(content)
        return {} if opened is None else {content: opened}

    async def _open(self, ids: Sequence[UUID]) -> dict[UUID, bytes]:
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(self._OPEN, [list(ids)])
            rows = await cursor.fetchall()
        return await self._sealer.opened(
            _SealedContent(
                content, subject, sealed, address, self._keys.unwrap(subject, *wrapped)
            )
            for content, subject, sealed, address, *wrapped in rows
        )

    @override
    async def blobs_of(self, ids: Sequence[UUID]) -> list[str]:
        async with self._database.pool.connection() as connection:
            rows = await connection.execute(self._ADDRESSES, [list(ids)])
            return [address async for (address,) in rows]

    @override
    async def discard(self, addresses: Sequence[str]) -> None:
        await delete_all(self._blobs, addresses)


class PostgresVault(Vault):
    """Secrets in ``es.vault``."""

    _OPEN = """
        SELECT v.id, v.subject, v.kind, v.sealed, k.wrapped, k.key_id
        FROM es.vault AS v JOIN es.subject_keys AS k USING (subject)
        WHERE v.id = ANY(%s) AND k.wrapped <> ''
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        keys: PostgresSubjectKeys | None = None,
    ) -> None:
        self._database = database
        self._keys = keys or PostgresSubjectKeys(database, keyring)

    @override
    async def seal(self, subject: UUID, kind: str, secret: str) -> Sealed:
        return _sealed_secret(await self._keys.of(subject), subject, kind, secret)

    @override
    async def open(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        if not ids:
            return {}
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(self._OPEN, [list(ids)])
            rows = await cursor.fetchall()
        return _opened_secrets(
            (
                Sealed(secret, subject, kind, sealed),
                self._keys.unwrap(subject, *wrapped),
            )
            for secret, subject, kind, sealed, *wrapped in rows
        )


class MemoryContents(Contents):
    """Contents kept by a `MemoryEventStore`."""

    def __init__(
        self, store: MemoryEventStore, keyring: Keyring, blobs: Blobs | None = None
    ) -> None:
        self._rows = store.content_rows
        self._blobs = blobs
        self._keys = store.keys
        self._sealer = _ContentSealer(keyring, self._keys, blobs)

    @override
    async def seal(self, subject: UUID, data: bytes) -> Content:
        return await self._sealer.seal(subject, data)

    @override
    async def open(self, ids: Sequence[UUID]) -> dict[UUID, bytes]:
        rows = [self._rows[i] for i in dict.fromkeys(ids) if i in self._rows]
        keys = await self._keys.of_each({row.subject for row in rows})
        return await self._sealer.opened(
            _SealedContent(row.ref.id, row.subject, row.sealed, row.address, key)
            for row in rows
            if (key := keys.get(row.subject)) is not None
        )

    @override
    async def blobs_of(self, ids: Sequence[UUID]) -> list[str]:
        rows = (self._rows[i] for i in ids if i in self._rows)
        return [row.address for row in rows if row.address]

    @override
    async def discard(self, addresses: Sequence[str]) -> None:
        if self._blobs is not None:
            await delete_all(self._blobs, addresses)


class MemoryVault(Vault):
    """Secrets kept by a `MemoryEventStore`."""

    def __init__(self, store: MemoryEventStore) -> None:
        self._rows = store.vault_rows
        self._keys = store.keys

    @override
    async def seal(self, subject: UUID, kind: str, secret: str) -> Sealed:
        return _sealed_secret(await self._keys.of(subject), subject, kind, secret)

    @override
    async def open(self, ids: Sequence[UUID]) -> dict[UUID, str]:
        rows = [self._rows[i] for i in dict.fromkeys(ids) if i in self._rows]
        keys = await self._keys.of_each({row.subject for row in rows})
        return _opened_secrets(
            (row, key) for row in rows if (key := keys.get(row.subject)) is not None
        )


def _sealed_secret(key: DataKey, subject: UUID, kind: str, secret: str) -> Sealed:
    secret_id = uuid4()
    data = secret.encode("utf-8", "surrogatepass")
    sealed = key.seal(data, bound_to=_secret_bond(subject, secret_id, kind))
    return Sealed(id=secret_id, subject=subject, kind=kind, sealed=sealed)


def _opened_secrets(rows: Iterable[tuple[Sealed, DataKey]]) -> dict[UUID, str]:
    opened: dict[UUID, str] = {}
    for row, key in rows:
        bond = _secret_bond(row.subject, row.id, row.kind)
        data = key.open(row.sealed, bound_to=bond)
        if data is not None:
            opened[row.id] = data.decode("utf-8", "surrogatepass")
    return opened


def _content_bond(subject: UUID, content_id: UUID) -> bytes:
    return b"content" + subject.bytes + content_id.bytes


def _secret_bond(subject: UUID, secret_id: UUID, kind: str) -> bytes:
    return b"vault" + subject.bytes + secret_id.bytes + kind.encode()
