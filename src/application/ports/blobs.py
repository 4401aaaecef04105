"""Where large things lie: by their digest, whole or in a stream."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping
from datetime import datetime
from typing import Protocol

import msgspec


class Arrival(msgspec.Struct, frozen=True):
    """
    Bytes that have all arrived and are no blob yet.

    ``place`` is where they wait, in the words of the store; they lie at ``address``
    once they are accepted.
    """

    address: str
    size: int
    place: str


class Blobs(Protocol):
    """
    Bytes by their SHA-256, written once.

    Every method may raise `BlobsAwayError`: a disk that is full, a server that is gone.
    """

    async def put(self, data: bytes) -> str:
        """Store *data*, durable on return; return its hex digest, the address."""
        ...

    async def get(self, address: str) -> bytes:
        """Return the bytes at *address*, or raise `ContentMissingError`."""
        ...

    async def delete(self, address: str) -> None:
        """Remove the bytes at *address*; nothing happens if they are gone."""
        ...

    async def receive(self, data: AsyncIterator[bytes]) -> Arrival:
        """
        Take in *data* as it comes, durable on return, in pieces of bounded size.

        If *data* raises, nothing is left of it. Whoever dies before deciding leaves
        it to `left_over`.
        """
        ...

    async def accept(self, arrival: Arrival) -> None:
        """Make a blob of what arrived, durable on return."""
        ...

    async def refuse(self, arrival: Arrival) -> None:
        """Throw away what arrived; nothing happens if it is gone."""
        ...

    def stream(
        self, address: str, *, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """
        Yield the bytes at *address* from *start* up to *end*, exclusive.

        Pieces have at most a megabyte. Raise `ContentMissingError` at the first one.
        """
        ...

    async def left_over(self, *, before: datetime) -> Mapping[str, int]:
        """Return what arrived *before* and was never decided on, with its sizes."""
        ...

    async def sweep(self, left_over: Collection[str]) -> None:
        """Remove what was left over."""
        ...
