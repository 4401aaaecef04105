"""The secrets of an installation: the one that wraps keys, and those known besides."""

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, override

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infrastructure.data_directory import make_directory, unusable, write_private
from infrastructure.settings import Settings
from infrastructure.starting import CannotStartError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
CURRENT: Final = "secret_key"
EARLIER: Final = "secret_key.previous"
"""Where the data directory keeps a secret that is being replaced."""


class WrongKeyError(CannotStartError):
    """The database was sealed with another installation key."""


class SealBrokenError(Exception):
    """Sealed bytes were changed, or belong elsewhere."""


class _Secret:
    """One secret, and what is derived from it."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self.wrapping = AESGCM(self.derived("wrap"))
        self.id = sha256(self.derived("id")).hexdigest()[:16]

    def derived(self, use: str) -> bytes:
        kdf = HKDF(
            SHA256(), KEY_BYTES, salt=None, info=b"langbuilder/1/" + use.encode()
        )
        return kdf.derive(self._secret)


class MasterSecrets:
    """
    What wraps keys, and opens what it or one of the others has wrapped.

    ``read`` says which secrets there are, the current one first. It is asked again
    before a key is wrapped, and when one was wrapped by none of them: somebody may
    have made a new secret meanwhile.
    """

    def __init__(self, read: Callable[[], Sequence[str]]) -> None:
        self._read = read
        self._known: dict[str, _Secret] = {}
        self._given: dict[str, _Secret] = {}
        self._take(read())

    @classmethod
    def of(cls, settings: Settings) -> "MasterSecrets":
        """Take the secrets from *settings*, or from files made at the first start."""
        others = _each(settings.previous_secret_key)
        if settings.secret_key:
            given = [settings.secret_key, *others]
            return cls(lambda: given)
        return cls(lambda: [*_kept(settings.data_path), *others])

    @property
    def id(self) -> str:
        """The name of the current secret, which tells nothing of it."""
        return self._current.id

    @property
    def ids(self) -> list[str]:
        """The names of all that are known, the current one first."""
        return [self.id, *(one for one in self._known if one != self.id)]

    def wrap(self, key: bytes, *, bound_to: bytes) -> bytes:
        """Encrypt *key* with the secret that is the current one by now."""
        self._take(self._read())
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._current.wrapping.encrypt(nonce, key, bound_to)

    def unwrap(self, wrapped: bytes, *, bound_to: bytes, key_id: str) -> bytes:
        """Decrypt, or raise `WrongKeyError` or `SealBrokenError`."""
        if key_id not in self._known:
            self._take(self._read())
        if key_id not in self._known:
            raise WrongKeyError(self.complaint([key_id]))
        wrapping = self._known[key_id].wrapping
        try:
            nonce, rest = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
            return wrapping.decrypt(nonce, rest, bound_to)
        except InvalidTag as error:
            raise SealBrokenError("a wrapped key") from error

    def derived(self, use: str, *, key_id: str) -> bytes:
        """Return the key for *use* that a secret stands for by itself."""
        return self._known.get(key_id, self._current).derived(use)

    def complaint(self, others: Iterable[str]) -> str:
        """Say in one line that keys were wrapped by *others*."""
        return (
            f"The database was sealed with the secret key {', '.join(others)}, and "
            f"given is {', '.join(self.ids)}: start with that one as "
            "LANGBUILDER_SECRET_KEY (or file secret_key in the data directory), or "
            "name it in LANGBUILDER_PREVIOUS_SECRET_KEY."
        )

    def _take(self, known: Sequence[str]) -> None:
        for secret in known:
            if secret not in self._given:
                one = self._given[secret] = _Secret(secret)
                self._known[one.id] = one
        self._current = self._given[known[0]]

    @override
    def __repr__(self) -> str:
        return f"<MasterSecrets {', '.join(self.ids)}>"


def renew(data_dir: Path) -> None:
    """
    Let the data directory have a new secret, and keep the one before beside it.

    Nothing happens where that has been done, and not been finished.
    """
    current, *earlier = _kept(data_dir)
    if earlier and earlier != [current]:
        return
    try:
        write_private(data_dir / EARLIER, current.encode(), replace=False)
        write_private(data_dir / CURRENT, _made().encode())
    except OSError as error:
        raise unusable(data_dir, error) from error


def forget_earlier(data_dir: Path) -> bool:
    """Remove the secret that was replaced; tell whether there was one."""
    path = data_dir / EARLIER
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _kept(data_dir: Path) -> list[str]:
    """Return the secrets in files, the current one first."""
    path = data_dir / CURRENT
    make_directory(data_dir)
    try:
        if not path.exists():
            write_private(path, _made().encode(), replace=False)
        secret = path.read_text().strip()
        earlier = data_dir / EARLIER
        before = earlier.read_text().strip() if earlier.exists() else ""
    except OSError as error:
        raise unusable(data_dir, error) from error
    if not secret:
        raise WrongKeyError(f"The file {path} is empty; put the secret key back.")
    return [secret, before] if before else [secret]


def _made() -> str:
    return secrets.token_urlsafe(48)


def _each(listed: Sequence[str]) -> list[str]:
    """Return the secrets of a list; one that has a comma in it is one as well."""
    return [*listed, *([",".join(listed)] if len(listed) > 1 else [])]
