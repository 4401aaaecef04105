"""Which secret wraps the keys of an installation, and how that is changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec


class Wrapped(msgspec.Struct, frozen=True):
    """How many keys one secret wraps: of people, and of the installation itself."""

    key_id: str
    subjects: int
    installation: int
    current: bool = False


class Wrapping(Protocol):
    """All wrapped keys."""

    @property
    def current(self) -> str:
        """The id of the secret that wraps new keys."""
        ...

    async def counted(self) -> Sequence[Wrapped]:
        """Return each secret that wraps anything."""
        ...

    async def rewrap(self, progress: Callable[[int], None]) -> Mapping[str, int]:
        """
        Wrap everything by the current secret; count keys by the one that did before.

        *progress* hears of each piece how many keys it was. What was done stays done,
        whenever it ends.
        """
        ...
