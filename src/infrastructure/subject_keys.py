"""The data keys of subjects: made when first needed, destroyed to erase somebody."""

import os
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping
from typing import Final, Protocol, override
from uuid import UUID

from application.ports.refusals import SubjectErasedError
from infrastructure.keyring import KEY_BYTES, DataKey, Keyring
from infrastructure.postgres import Database

_REMEMBERED: Final = 10_000
TRUSTED_FOR: Final = 60.0
"""Seconds until we ask again whether a key has been destroyed elsewhere."""


class SubjectKeys(Protocol):
    """
    Where the keys come from.

    Somebody erased has none, and never gets one again: a mark stands in its place.
    """

    def known(self, subject: UUID) -> DataKey | None:
        """Return the key of *subject* if that takes no asking, to seal with."""
        ...

    async def of(self, subject: UUID) -> DataKey:
        """Return the key of *subject*, made if need be, or `SubjectErasedError`."""
        ...

    async def of_each(
        self, subjects: Collection[UUID]
    ) -> Mapping[UUID, DataKey | None]:
        """
        Return the keys there are of *subjects*, to open with; None of the erased.

        Those who never had a key are left out.
        """
        ...


class PostgresSubjectKeys(SubjectKeys):
    """
    Data keys in ``es.subject_keys``, wrapped by the installation key.

    An empty key is the mark of somebody erased.
    """

    _MAKE = """
        INSERT INTO es.subject_keys (subject, wrapped, key_id) VALUES (%s, %s, %s)
        ON CONFLICT (subject) DO NOTHING
    """
    _READ = (
        "SELECT subject, wrapped, key_id FROM es.subject_keys WHERE subject = ANY(%s)"
    )

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._unwrapped: OrderedDict[bytes, DataKey] = OrderedDict()
        self._current: OrderedDict[UUID, tuple[float, DataKey | None]] = OrderedDict()

    @override
    def known(self, subject: UUID) -> DataKey | None:
        until, key = self._current.get(subject, (0.0, None))
        return key if time.monotonic() < until else None

    @override
    async def of(self, subject: UUID) -> DataKey:
        if (known := self.known(subject)) is not None:
            return known
        found = await self._read([subject])
        while subject not in found:
            await self._make(subject)
            found = await self._read([subject])
        key = found[subject]
        if key is None:
            raise SubjectErasedError
        return key

    @override
    async def of_each(
        self, subjects: Collection[UUID]
    ) -> Mapping[UUID, DataKey | None]:
        now = time.monotonic()
        found: dict[UUID, DataKey | None] = {}
        unknown: list[UUID] = []
        for subject in subjects:
            until, key = self._current.get(subject, (0.0, None))
            if now < until:
                found[subject] = key
            else:
                unknown.append(subject)
        return {**found, **await self._read(unknown)} if unknown else found

    def unwrap(self, subject: UUID, wrapped: bytes, key_id: str) -> DataKey:
        """Return the key that a row of ``es.subject_keys`` holds."""
        if key := self._unwrapped.get(wrapped):
            return key
        key = DataKey(self._keyring.unwrap(subject, wrapped, key_id=key_id))
        _remember(self._unwrapped, wrapped, key)
        return key

    def forget(self, subject: UUID) -> None:
        """Ask again for the key of *subject*, which was destroyed."""
        _, key = self._current.pop(subject, (0.0, None))
        for wrapped, unwrapped in list(self._unwrapped.items()):
            if unwrapped is key:
                del self._unwrapped[wrapped]

    async def _make(self, subject: UUID) -> None:
        # Two servers may both come here: the first row stands, and both read it.
        wrapped = self._keyring.wrap(subject, os.urandom(KEY_BYTES))
        async with self._database.pool.connection() as connection:
            await connection.execute(self._MAKE, [subject, wrapped, self._keyring.id])

    async def _read(self, subjects: Collection[UUID]) -> dict[UUID, DataKey | None]:
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(self._READ, [list(subjects)])
            rows = await cursor.fetchall()
        until = time.monotonic() + TRUSTED_FOR
        found: dict[UUID, DataKey | None] = {}
        for subject, wrapped, key_id in rows:
            key = self.unwrap(subject, wrapped, key_id) if wrapped else None
            _remember(self._current, subject, (until, key))
            found[subject] = key
        return found


class MemorySubjectKeys(SubjectKeys):
    """Data keys that end with the process."""

    def __init__(self) -> None:
        self._keys: dict[UUID, DataKey | None] = {}

    @override
    def known(self, subject: UUID) -> DataKey | None:
        return self._keys.get(subject)

    @override
    async def of(self, subject: UUID) -> DataKey:
        key = self._keys.setdefault(subject, DataKey(os.urandom(KEY_BYTES)))
        if key is None:
            raise SubjectErasedError
        return key

    @override
    async def of_each(
        self, subjects: Collection[UUID]
    ) -> Mapping[UUID, DataKey | None]:
        return {who: self._keys[who] for who in subjects if who in self._keys}

    def destroy(self, subject: UUID) -> None:
        """Leave nothing but the mark of somebody erased."""
        self._keys[subject] = None

    def erased(self, subject: UUID) -> bool:
        """Tell whether *subject* was erased."""
        return self._keys.get(subject, ...) is None


def _remember[K, V](kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
