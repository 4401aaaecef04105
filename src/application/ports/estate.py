"""What there is of a person outside the logs."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID


class ReadTables(Protocol):
    """Tables that were filled from the logs."""

    async def drop_unserved(self) -> int:
        """Remove those that nobody reads: they would never hear of an erasure."""
        ...


class Estate(Protocol):
    """All there is of a person outside the logs, and the key to what is inside."""

    async def closed(self, subject: UUID) -> bool:
        """Tell whether the key of *subject* has been destroyed."""
        ...

    async def going_on(self, subject: UUID) -> Sequence[UUID]:
        """Return the runs of *subject* that a server carries out now."""
        ...

    async def flows(self, subject: UUID, *, after: UUID | None) -> Sequence[UUID]:
        """Return some of the flows of *subject* by id, those after one."""
        ...

    async def close(self, subject: UUID) -> None:
        """Destroy the key for ever: from now on nothing of *subject* is stored."""
        ...

    async def clear(self, subject: UUID) -> Mapping[str, int]:
        """Destroy what is left, name last; return how much there was of each kind."""
        ...
