"""The address of a blob: the SHA-256 of its bytes, in hex."""

import re
from hashlib import sha256

from application.ports import ContentMissingError

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


def address_of(data: bytes) -> str:
    """Return the address of *data*."""
    return sha256(data).hexdigest()


def checked(address: str) -> str:
    """Return *address*; what is none, such as a path, names nothing."""
    if not _HEX.fullmatch(address):
        raise ContentMissingError(address)
    return address
