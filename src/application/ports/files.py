"""The bytes of files: sealed in pieces, never whole in memory."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol
from uuid import UUID

import msgspec

from application.ports import Arrival, Content
from domain.kernel import ContentRef


class Parcel(msgspec.Struct, frozen=True):
    """Bytes that were sealed and wait to be accepted; the content names them then."""

    content: Content
    arrival: Arrival


class OpenedFile(msgspec.Struct, frozen=True, kw_only=True):
    """
    A file being read: ``chunks`` yields its bytes once, or the part asked for.

    ``size`` is that of the whole file. Close ``chunks`` if you stop before the end.
    """

    id: UUID
    owner: UUID
    path: str
    name: str
    media_type: str
    size: int
    chunks: AsyncGenerator[bytes]


class OwnersFiles(Protocol):
    """The files that runs may read: those of their owner, by path."""

    async def of_owner(
        self, owner: UUID, path: str, *, end: int | None = None
    ) -> OpenedFile | None:
        """Open a file of *owner* up to *end*; None if there is none at *path*."""
        ...


class FileBytes(Protocol):
    """The bytes of files, each sealed with its owner's key."""

    async def receive(
        self, owner: UUID, file: UUID, data: AsyncIterator[bytes]
    ) -> Parcel:
        """Seal *data* as it comes; raise `SubjectErasedError`, or what *data* does."""
        ...

    async def accept(self, parcel: Parcel) -> None:
        """Put a parcel where it stays; a save must attach its content."""
        ...

    async def refuse(self, parcel: Parcel) -> None:
        """Throw a parcel away, accepted or not."""
        ...

    async def open(
        self, content: ContentRef, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """
        Return the bytes from *start* up to *end*, exclusive, in pieces.

        Raise `ContentMissingError`; later, if they are not what was sealed,
        `SealBrokenError`.
        """
        ...

    async def strays(self, *, limit: int) -> list[UUID]:
        """Return some flows that are no more and have files yet."""
        ...

    async def held(self, owner: UUID) -> int:
        """Return how many bytes the files of *owner* have together."""
        ...
