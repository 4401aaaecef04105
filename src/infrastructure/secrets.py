"""What is kept sealed: contents and secrets, under keys that one installation key wraps."""

import asyncio
import hmac
import logging
import os
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, override
from uuid import UUID, uuid4

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg.rows import scalar_row

from application.ports import (
    Blobs,
    Content,
    ContentMissingError,
    Contents,
    Sealed,
    Vault,
)
from domain.kernel import ContentRef
from infrastructure.data_directory import make_directory, write_private_once
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.postgres import Database
from infrastructure.settings import Settings
from infrastructure.starting import CannotStartError

logger = logging.getLogger(__name__)

LARGEST_ROW = 64 * 1024
"""Sealed bytes beyond this go to the blob store."""

_KEY_BYTES, _NONCE_BYTES, _MARK_BYTES = 32, 12, 4
_FORMAT = b"\x01"
_KEYS_REMEMBERED = 10_000
_LONG_WORK = 1024 * 1024  # bytes; from here on encrypting would hold up the event loop
_BLOBS_AT_A_TIME = 16


class WrongKeyError(CannotStartError):
    """The database was sealed with another installation key."""


class SealBrokenError(Exception):
    """Sealed bytes were changed, or belong elsewhere."""


class Keyring:
    """
    The keys of this installation, each derived from one secret for one use.

    Whoever has the secret can read everything; without it nothing can be read.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._digesting = self._derived("digest")
        self._hashing = self._derived("bearer-hash")
        self._wrapping = AESGCM(self._derived("wrap"))
        self.signing = self._derived("jwt")
        self.id = sha256(self._derived("id")).hexdigest()[:16]

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """Take the secret from *settings*, or from a file made at the first start."""
        return cls(settings.secret_key or _kept_secret(settings.data_path))

    def digest(self, data: bytes) -> str:
        """Return a hash of *data* that tells nothing to those without the key."""
        return hmac.digest(self._digesting, data, "sha256").hex()

    def pseudonym(self, name: str) -> str:
        """Return what stands for *name* where the name itself may not, as in claims."""
        return self.digest(name.encode("utf-8", "surrogatepass"))

    def bearer_hash(self, token: str) -> str:
        """Return what is kept of an API key or a one-time link; all are random."""
        data = token.encode("utf-8", "surrogatepass")
        return hmac.digest(self._hashing, data, "sha256").hex()

    def wrap(self, subject: UUID, key: bytes) -> bytes:
        """Encrypt a subject's data key."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._wrapping.encrypt(nonce, key, subject.bytes)

    def unwrap(self, subject: UUID, wrapped: bytes) -> bytes:
        """Decrypt a subject's data key, or raise `SealBrokenError`."""
        try:
            return self._wrapping.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], subject.bytes
            )
        except InvalidTag as error:
            raise SealBrokenError(f"the data key of {subject}") from error

    def _derived(self, use: str) -> bytes:
        kdf = HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"langbuilder/1/" + use.encode())
        return kdf.derive(self._secret)

    @override
    def __repr__(self) -> str:
        return f"<Keyring {self.id}>"


def _kept_secret(data_dir: Path) -> str:
    path = data_dir / "secret_key"
    make_directory(data_dir)
    if not path.exists():
        write_private_once(path, secrets.token_urlsafe(48).encode())
    return path.read_text().strip()


class DataKey:
    """The key of one subject. Destroying it makes all that it sealed unreadable."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.mark = sha256(b"mark" + key).digest()[:_MARK_BYTES]

    def seal(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Encrypt *data*; it opens only together with *bound_to*."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, data, bound_to)
        return b"".join((_FORMAT, self.mark, nonce, sealed))

    def open(self, sealed: bytes, *, bound_to: bytes) -> bytes | None:
        """Decrypt, or return None if an earlier, destroyed key had sealed this."""
        if not sealed.startswith(_FORMAT):
            raise SealBrokenError("an unknown format")
        start = len(_FORMAT) + _MARK_BYTES
        if sealed[len(_FORMAT) : start] != self.mark:
            return None
        nonce, rest = sealed[start : start + _NONCE_BYTES], sealed[start + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, rest, bound_to)
        except InvalidTag as error:
            raise SealBrokenError("the bytes are not what was sealed") from error


class SubjectKeys(Protocol):
    """The data keys of subjects, made when first needed."""

    async def of(self, subject: UUID) -> DataKey:
        """Return the key of *subject*."""
        ...

    async def existing(self, subjects: Iterable[UUID]) -> dict[UUID, DataKey]:
        """Return the keys of *subjects* that have not been destroyed."""
        ...

    async def destroy(self, subject: UUID) -> None:
        """Make all that was sealed for *subject* unreadable for ever."""
        ...


class PostgresSubjectKeys(SubjectKeys):
    """Data keys in ``es.subject_keys``, wrapped by the installation key."""

    _MAKE = """
        INSERT INTO es.subject_keys (subject, wrapped, key_id) VALUES (%s, %s, %s)
        ON CONFLICT (subject) DO NOTHING
    """
    _READ = "SELECT subject, wrapped, key_id FROM es.subject_keys WHERE subject = ANY(%s)"

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._remembered: OrderedDict[bytes, DataKey] = OrderedDict()

    async def check(self) -> None:
        """Raise `WrongKeyError` if keys here were wrapped by another secret."""
        query = "SELECT key_id FROM es.subject_keys WHERE key_id <> %s LIMIT 1"
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(row_factory=scalar_row) as cursor,
        ):
            await cursor.execute(query, [self._keyring.id])
            if await cursor.fetchone() is not None:
                raise WrongKeyError(
                    "The database was sealed with another LANGBUILDER_SECRET_KEY (or "
                    "file secret_key in the data directory) than the one given now; "
                    "start with that one."
                )

    @override
    async def of(self, subject: UUID) -> DataKey:
        if found := (await self.existing([subject])).get(subject):
            return found
        # Two servers may both come here: the first row stands, and both read it.
        wrapped = self._keyring.wrap(subject, os.urandom(_KEY_BYTES))
        async with self._database.pool.connection() as connection:
            await connection.execute(self._MAKE, [subject, wrapped, self._keyring.id])
        return (await self.existing([subject]))[subject]

    @override
    async def existing(self, subjects: Iterable[UUID]) -> dict[UUID, DataKey]:
        async with (
            self._database.pool.connection() as connection,
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute(self._READ, [list(set(subjects))])
            rows = await cursor.fetchall()
        return {row[0]: self._unwrapped(*row) for row in rows}

    @override
    async def destroy(self, subject: UUID) -> None:
        query = "DELETE FROM es.subject_keys WHERE subject = %s"
        async with self._database.pool.connection() as connection:
            await connection.execute(query, [subject])

    def _unwrapped(self, subject: UUID, wrapped: bytes, key_id: str) -> DataKey:
        # Remembered by the wrapped bytes, so that a destroyed key is never used on.
        if key := self._remembered.get(wrapped):
            self._remembered.move_to_end(wrapped)
            return key
        if key_id != self._keyring.id:
            raise WrongKeyError(f"The data key of {subject} was wrapped by another key.")
        key = self._remembered[wrapped] = DataKey(self._keyring.unwrap(subject, wrapped))
        if len(self._remembered) > _KEYS_REMEMBERED:
            self._remembered.popitem(last=False)
        return key
