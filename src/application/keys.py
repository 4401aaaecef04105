"""The secret of the installation: what it wraps, and how another takes its place."""

from collections.abc import Callable, Mapping, Sequence
from uuid import uuid4

from application.commands import part_of
from application.permissions import only_superusers
from application.ports import Cause, EventStore
from application.ports.wrapping import Wrapped, Wrapping
from domain.operation.events import MasterKeyRotated
from domain.operation.operation import Operation


class Keys:
    """Wrap all keys anew, beside servers that know both secrets, and say so."""

    def __init__(self, store: EventStore, wrapping: Wrapping) -> None:
        self._store = store
        self._wrapping = wrapping

    @property
    def current(self) -> str:
        """The id of the secret that wraps new keys."""
        return self._wrapping.current

    async def status(self) -> Sequence[Wrapped]:
        """Return how many keys each secret wraps."""
        return await self._wrapping.counted()

    async def rotate(
        self, *, cause: Cause, progress: Callable[[int], None]
    ) -> Mapping[str, int]:
        """Wrap everything by the current secret; count by the one before."""
        only_superusers(cause.actor)
        done = await self._wrapping.rewrap(progress)
        for before, keys in done.items():
            rotated = MasterKeyRotated(before=before, after=self.current, keys=keys)
            await self._store.save(
                Operation.of(uuid4(), rotated), cause=part_of(cause, before)
            )
        return done
