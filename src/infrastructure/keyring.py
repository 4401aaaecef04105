"""The keys of an installation: a secret that wraps, and a key for each other use."""

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Final, override
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infrastructure.master_secrets import (
    KEY_BYTES,
    NONCE_BYTES,
    MasterSecrets,
    SealBrokenError,
    WrongKeyError,
)
from infrastructure.settings import Settings

__all__ = [
    "KEY_BYTES",
    "USES",
    "DataKey",
    "Keyring",
    "SealBrokenError",
    "WrongKeyError",
]

USES: Final = ("digest", "bearer-hash", "history", "jwt")
"""What keys are for that must stay what they are when the secret changes."""
_MARK_BYTES: Final = 4
_FORMAT: Final = b"\x01"
_HEAD_BYTES: Final = len(_FORMAT) + _MARK_BYTES
_REST: Final = _HEAD_BYTES + NONCE_BYTES


class Keyring:
    """
    The keys of this installation, one for each use.

    Whoever has the secret and the database can read everything; without the secret
    nothing can be read. As long as the database was not asked for the other keys,
    they are those that the secret stands for by itself.
    """

    def __init__(
        self, secrets: MasterSecrets | str, uses: Mapping[str, bytes] | None = None
    ) -> None:
        if isinstance(secrets, str):
            alone = [secrets]
            secrets = MasterSecrets(lambda: alone)
        self.secrets = secrets
        kept = uses or {use: secrets.derived(use, key_id=secrets.id) for use in USES}
        self._digesting = kept["digest"]
        self._hashing = kept["bearer-hash"]
        self._witnessing = kept["history"]
        self.signing = kept["jwt"]

    @classmethod
    def of(cls, settings: Settings) -> "Keyring":
        """Take the secret from *settings*, or from a file made at the first start."""
        return cls(MasterSecrets.of(settings))

    @property
    def id(self) -> str:
        """The name of the secret that wraps now."""
        return self.secrets.id

    def digest(self, data: bytes) -> str:
        """Return a hash of *data* that tells nothing to those without the key."""
        return hmac.digest(self._digesting, data, "sha256").hex()

    def digester(self) -> hmac.HMAC:
        """Return what comes to the `digest` of bytes that it is given one by one."""
        return hmac.new(self._digesting, digestmod="sha256")

    def bearer_hash(self, token: str) -> str:
        """Return what is kept of an API key or a one-time link; all are random."""
        data = token.encode("utf-8", "surrogatepass")
        return hmac.digest(self._hashing, data, "sha256").hex()

    def sign_history(self, data: bytes) -> bytes:
        """Return a signature of *data*, which says what has happened."""
        return hmac.digest(self._witnessing, data, "sha256")

    def wrap(self, subject: UUID, key: bytes) -> bytes:
        """Encrypt a subject's data key."""
        return self.secrets.wrap(key, bound_to=subject.bytes)

    def unwrap(
        self, subject: UUID, wrapped: bytes, *, key_id: str | None = None
    ) -> bytes:
        """Decrypt a data key, or raise `SealBrokenError` or `WrongKeyError`."""
        return self.secrets.unwrap(
            wrapped, bound_to=subject.bytes, key_id=key_id or self.id
        )

    @override
    def __repr__(self) -> str:
        return f"<Keyring {self.id}>"


class DataKey:
    """The key of one subject. Destroying it makes all that it sealed unreadable."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._head = _FORMAT + sha256(b"mark" + key).digest()[:_MARK_BYTES]

    @property
    def mark(self) -> bytes:
        """What tells this key from others, and nothing about it."""
        return self._head[len(_FORMAT) :]

    def derived(self, salt: bytes, *, bound_to: bytes) -> bytes:
        """Return a key for one thing alone, drawn from this one by HKDF (RFC 5869)."""
        return HKDF(SHA256(), KEY_BYTES, salt, bound_to).derive(self._key)

    def seal(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Encrypt *data*; it opens only together with *bound_to*."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, data, bound_to)
        return b"".join((self._head, nonce, sealed))

    def open(self, sealed: bytes, *, bound_to: bytes) -> bytes | None:
        """Decrypt, or return None if an earlier, destroyed key had sealed this."""
        if sealed[:_HEAD_BYTES] != self._head:
            if sealed.startswith(_FORMAT):
                return None
            raise SealBrokenError("an unknown format")
        try:
            return self._cipher.decrypt(
                sealed[_HEAD_BYTES:_REST], sealed[_REST:], bound_to
            )
        except InvalidTag as error:
            raise SealBrokenError("the bytes are not what was sealed") from error
