"""The keys of an installation: one secret, and what is derived from it."""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path
from typing import override
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infrastructure.data_directory import make_directory, unusable, write_private
from infrastructure.settings import Settings
from infrastructure.starting import CannotStartError

KEY_BYTES = 32
_NONCE_BYTES, _MARK_BYTES = 12, 4
_FORMAT = b"\x01"


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
        self._witnessing = self._derived("history")
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

    def bearer_hash(self, token: str) -> str:
        """Return what is kept of an API key or a one-time link; all are random."""
        data = token.encode("utf-8", "surrogatepass")
        return hmac.digest(self._hashing, data, "sha256").hex()

    def sign_history(self, data: bytes) -> bytes:
        """Return a signature of *data*, which says what has happened."""
        return hmac.digest(self._witnessing, data, "sha256")

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
        kdf = HKDF(
            SHA256(), KEY_BYTES, salt=None, info=b"langbuilder/1/" + use.encode()
        )
        return kdf.derive(self._secret)

    @override
    def __repr__(self) -> str:
        return f"<Keyring {self.id}>"


def _kept_secret(data_dir: Path) -> str:
    path = data_dir / "secret_key"
    make_directory(data_dir)
    try:
        if not path.exists():
            write_private(path, secrets.token_urlsafe(48).encode(), replace=False)
        secret = path.read_text().strip()
    except OSError as error:
        raise unusable(data_dir, error) from error
    if not secret:
        raise WrongKeyError(f"The file {path} is empty; put the secret key back.")
    return secret


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
        nonce, rest = (
            sealed[start : start + _NONCE_BYTES],
            sealed[start + _NONCE_BYTES :],
        )
        try:
            return self._cipher.decrypt(nonce, rest, bound_to)
        except InvalidTag as error:
            raise SealBrokenError("the bytes are not what was sealed") from error
