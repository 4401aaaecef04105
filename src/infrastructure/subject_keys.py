"""The data keys of subjects: made when first needed, destroyed to erase somebody."""

import os
import time
from collections import OrderedDict
from typing import Protocol, override
from uuid import UUID

from psycopg.rows import scalar_row

from infrastructure.keyring import KEY_BYTES, DataKey, Keyring, WrongKeyError
from infrastructure.postgres import Database

_REMEMBERED = 10_000
_TRUSTED_FOR = 60.0  # seconds until we ask again whether a key has been destroyed


class SubjectKeys(Protocol):
    """Where the keys come from."""

    async def of(self, subject: UUID) -> DataKey:
        """Return the key of *subject*, to seal with."""
        ...


class PostgresSubjectKeys(SubjectKeys):
    """Data keys in ``es.subject_keys``, wrapped by the installation key."""

    _MAKE = """
        INSERT INTO es.subject_keys (subject, wrapped, key_id) VALUES (%s, %s, %s)
        ON CONFLICT (subject) DO NOTHING
    """
    _READ = "SELECT wrapped, key_id FROM es.subject_keys WHERE subject = %s"
    _OTHERS = "SELECT key_id FROM es.subject_keys WHERE key_id <> %s LIMIT 1"

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._unwrapped: OrderedDict[bytes, DataKey] = OrderedDict()
        self._current: OrderedDict[UUID, tuple[float, DataKey]] = OrderedDict()

    async def check(self) -> None:
        """Raise `WrongKeyError` if keys here were wrapped by another secret."""
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(row_factory=scalar_row) as cursor,
        ):
            await cursor.execute(self._OTHERS, [self._keyring.id])
            if await cursor.fetchone() is not None:
                raise WrongKeyError(
                    "The database was sealed with another LANGBUILDER_SECRET_KEY (or "
                    "file secret_key in the data directory) than the one given now; "
                    "start with that one."
                )

    @override
    async def of(self, subject: UUID) -> DataKey:
        until, key = self._current.get(subject, (0.0, None))
        if key is not None and time.monotonic() < until:
            return key
        key = await self._read(subject) or await self._made(subject)
        _remember(self._current, subject, (time.monotonic() + _TRUSTED_FOR, key))
        return key

    def unwrap(self, subject: UUID, wrapped: bytes, key_id: str) -> DataKey:
        """Return the key that a row of ``es.subject_keys`` holds."""
        if key := self._unwrapped.get(wrapped):
            return key
        if key_id != self._keyring.id:
            raise WrongKeyError(f"Another key than ours wrapped the one of {subject}.")
        key = DataKey(self._keyring.unwrap(subject, wrapped))
        _remember(self._unwrapped, wrapped, key)
        return key

    def forget(self, subject: UUID) -> None:
        """Ask again for the key of *subject*, which was destroyed."""
        self._current.pop(subject, None)

    async def _made(self, subject: UUID) -> DataKey:
        # Two servers may both come here: the first row stands, and both read it.
        wrapped = self._keyring.wrap(subject, os.urandom(KEY_BYTES))
        async with self._database.pool.connection() as connection:
            await connection.execute(self._MAKE, [subject, wrapped, self._keyring.id])
        key = await self._read(subject)
        return key if key is not None else await self._made(subject)

    async def _read(self, subject: UUID) -> DataKey | None:
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(self._READ, [subject])
            row = await cursor.fetchone()
        return self.unwrap(subject, *row) if row else None


class MemorySubjectKeys(SubjectKeys):
    """Data keys that end with the process."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._wrapped: dict[UUID, bytes] = {}

    @override
    async def of(self, subject: UUID) -> DataKey:
        if subject not in self._wrapped:
            key = os.urandom(KEY_BYTES)
            self._wrapped[subject] = self._keyring.wrap(subject, key)
        return DataKey(self._keyring.unwrap(subject, self._wrapped[subject]))


def _remember[K, V](kept: OrderedDict[K, V], key: K, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _REMEMBERED:
        kept.popitem(last=False)
