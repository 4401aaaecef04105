"""The bytes of files: in the blob store, sealed in pieces with their owner's key."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, override
from uuid import UUID

from application.ports import Blobs, Content, ContentMissingError
from application.ports.files import FileBytes, Parcel
from domain.kernel import ContentRef
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.sealed_pieces import HEAD, SealedPieces, cipher_of, sealed
from infrastructure.subject_keys import PostgresSubjectKeys


class PostgresFileBytes(FileBytes):
    """Contents in ``es.contents`` that all lie in the blob store."""

    _PLACE: Final = """
        SELECT c.subject, c.address, k.wrapped, k.key_id
        FROM es.contents AS c JOIN es.subject_keys AS k USING (subject)
        WHERE c.id = %s AND k.wrapped <> ''
    """
    _HELD: Final = """
        SELECT coalesce(sum(c.size), 0)::bigint
        FROM es.ownership AS o JOIN es.contents AS c ON c.id = o.resource
        WHERE o.owner = %s AND o.kind = 'file'
    """

    _STRAYS: Final = """
        SELECT DISTINCT left(c.key, 36)::uuid FROM es.claims AS c
        WHERE c.kind = 'file-name' AND NOT EXISTS (
            SELECT FROM es.ownership AS o WHERE o.resource = left(c.key, 36)::uuid)
        LIMIT %s
    """

    def __init__(
        self,
        database: Database,
        keyring: Keyring,
        blobs: Blobs,
        keys: PostgresSubjectKeys,
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._blobs = blobs
        self._keys = keys

    @override
    async def receive(
        self, owner: UUID, file: UUID, data: AsyncIterator[bytes]
    ) -> Parcel:
        key = await self._keys.of(owner)
        counted = _Counted(self._keyring)
        pieces = sealed(data, key, bound_to=_bond(owner, file), digest=counted)
        arrival = await self._blobs.receive(pieces)
        ref = ContentRef(id=file, digest=counted.hexdigest(), size=counted.size)
        content = Content(ref=ref, subject=owner, sealed=b"", address=arrival.address)
        return Parcel(content, arrival)

    @override
    async def accept(self, parcel: Parcel) -> None:
        await self._blobs.accept(parcel.arrival)

    @override
    async def refuse(self, parcel: Parcel) -> None:
        await self._blobs.refuse(parcel.arrival)
        await self._blobs.delete(parcel.arrival.address)

    @override
    async def open(
        self, content: ContentRef, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        async with self._database.pool.connection() as connection:
            found = await connection.execute(self._PLACE, [content.id])
            row = await found.fetchone()
        if row is None or row[1] is None:
            raise ContentMissingError(content.id)
        owner, address, *wrapped = row
        head = await self._head(address)
        key = self._keys.unwrap(owner, *wrapped)
        cipher = cipher_of(head, key, bound_to=_bond(owner, content.id))
        if cipher is None:
            raise ContentMissingError(content.id)
        wanted = SealedPieces(content.size, start=start, end=end)
        pieces = self._blobs.stream(address, start=wanted.begins, end=wanted.ends)
        return wanted.opened(pieces, cipher)

    @override
    async def strays(self, *, limit: int) -> list[UUID]:
        async with self._database.pool.connection() as connection:
            found = await connection.execute(self._STRAYS, [limit])
            return [flow for (flow,) in await found.fetchall()]

    @override
    async def held(self, owner: UUID) -> int:
        async with self._database.pool.connection() as connection:
            found = await connection.execute(self._HELD, [owner])
            [held] = await found.fetchone() or (0,)
            return int(held)

    async def _head(self, address: str) -> bytes:
        return b"".join(
            [piece async for piece in self._blobs.stream(address, end=HEAD)]
        )


class _Counted:
    """The keyed digest of bytes, and their number."""

    def __init__(self, keyring: Keyring) -> None:
        self._digest = keyring.digester()
        self.size = 0

    def update(self, data: bytes, /) -> None:
        self._digest.update(data)
        self.size += len(data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def _bond(owner: UUID, file: UUID) -> bytes:
    return b"file" + owner.bytes + file.bytes
