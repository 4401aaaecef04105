"""
Long bytes sealed in pieces, so that none of it is ever whole in memory.

The framing is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár: *Online Authenticated-
Encryption and its Nonce-Reuse Misuse-Resistance*, CRYPTO 2015) over AES-256-GCM:

    0x02 · mark of the data key, 4 bytes · salt, 32 bytes · pieces

A key for this content alone is drawn from the data key by HKDF-SHA-256 with the salt,
bound to its owner and id. Each piece holds 64 KB and a tag of 16 bytes; the last one
is as long as it is, and only empty content has an empty piece. A piece's nonce is its
number in 11 bytes, big-endian, and one byte that is 1 for the last: so pieces that
were left out, exchanged or cut off do not open.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infrastructure.keyring import DataKey, SealBrokenError

PIECE: Final = 64 * 1024
TAG: Final = 16
SALT: Final = 32
_FORMAT: Final = b"\x02"
_MARK: Final = len(_FORMAT) + 4
HEAD: Final = _MARK + SALT
AT_ONCE: Final = 16
"""Pieces that are sealed or opened in one go, in a thread: a megabyte."""


class Digest(Protocol):
    """Whatever counts bytes."""

    def update(self, data: bytes, /) -> None: ...


async def sealed(
    data: AsyncIterator[bytes], key: DataKey, *, bound_to: bytes, digest: Digest
) -> AsyncIterator[bytes]:
    """Yield *data* sealed; *digest* hears of the plain bytes in passing."""
    salt = os.urandom(SALT)
    cipher = AESGCM(key.derived(salt, bound_to=bound_to))
    number = 0

    def seal(block: bytes, *, ends: bool) -> bytes:
        digest.update(block)
        pieces = [block[at : at + PIECE] for at in range(0, len(block), PIECE)] or [b""]
        last = len(pieces) - 1 if ends else -1
        return b"".join(
            cipher.encrypt(_nonce(number + nth, last=nth == last), piece, None)
            for nth, piece in enumerate(pieces)
        )

    yield _FORMAT + key.mark + salt
    waiting = bytearray()
    async for piece in data:
        waiting += piece
        # More than a block: what ends with the data is known to be the last only then.
        while len(waiting) > AT_ONCE * PIECE:
            block = bytes(waiting[: AT_ONCE * PIECE])
            del waiting[: AT_ONCE * PIECE]
            yield await asyncio.to_thread(seal, block, ends=False)
            number += AT_ONCE
    yield await asyncio.to_thread(seal, bytes(waiting), ends=True)


class SealedPieces:
    """Opens what was `sealed`, from the piece that holds *start* on."""

    def __init__(self, size: int, *, start: int = 0, end: int | None = None) -> None:
        self._last = max(-(-size // PIECE), 1) - 1
        self._start = min(start, size)
        self._end = size if end is None else min(end, size)
        self._first = min(self._start // PIECE, self._last)

    @property
    def begins(self) -> int:
        """Where in the sealed bytes the first piece wanted begins."""
        return HEAD + self._first * (PIECE + TAG)

    @property
    def ends(self) -> int:
        """Where in the sealed bytes the last piece wanted has ended, at most."""
        last = min(max(self._end - 1, 0) // PIECE, self._last)
        return HEAD + (last + 1) * (PIECE + TAG)

    async def opened(
        self, pieces: AsyncGenerator[bytes], cipher: AESGCM
    ) -> AsyncGenerator[bytes]:
        """Yield the plain bytes wanted of *pieces*, which begin at `begins`."""
        number, at = self._first, self._first * PIECE
        async with aclosing(pieces), aclosing(_blocks(pieces)) as blocks:
            async for block in blocks:
                plain = await asyncio.to_thread(self._open, block, cipher, number)
                if wanted := plain[max(self._start - at, 0) : self._end - at]:
                    yield wanted
                number, at = number + AT_ONCE, at + len(plain)
        if at < self._end:
            raise SealBrokenError("the end is missing")

    def _open(self, block: bytes, cipher: AESGCM, number: int) -> bytes:
        try:
            return b"".join(
                cipher.decrypt(
                    _nonce(number + nth, last=number + nth == self._last),
                    block[at : at + PIECE + TAG],
                    None,
                )
                for nth, at in enumerate(range(0, len(block), PIECE + TAG))
            )
        except InvalidTag as error:
            raise SealBrokenError("the bytes are not what was sealed") from error


async def _blocks(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Cut what comes so that no sealed piece lies in two blocks."""
    size, waiting = AT_ONCE * (PIECE + TAG), bytearray()
    async for came in pieces:
        waiting += came
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def cipher_of(head: bytes, key: DataKey, *, bound_to: bytes) -> AESGCM | None:
    """Return what opens the pieces after *head*; None if an earlier key had sealed."""
    if len(head) < HEAD or not head.startswith(_FORMAT):
        raise SealBrokenError("an unknown format")
    if head[len(_FORMAT) : _MARK] != key.mark:
        return None
    return AESGCM(key.derived(head[_MARK:HEAD], bound_to=bound_to))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
