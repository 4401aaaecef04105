"""Bytes sealed in pieces: they open as they were, in any part, or not at all."""

import os
from collections.abc import AsyncGenerator
from hashlib import sha256

import pytest
from hypothesis import given, settings, strategies as st

from infrastructure.keyring import DataKey, SealBrokenError
from infrastructure.sealed_pieces import (
    AT_ONCE,
    HEAD,
    PIECE,
    TAG,
    SealedPieces,
    cipher_of,
    sealed,
)

KEY, BOND = DataKey(os.urandom(32)), b"file of ada's"
BLOCK = AT_ONCE * PIECE
SIZES = [0, 1, PIECE - 1, PIECE, PIECE + 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3_000_000]


async def cut(data: bytes, size: int = 100_000) -> AsyncGenerator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def closed(data: bytes, *, cut_at: int = 100_000) -> bytes:
    digest = sha256()
    found = [
        piece
        async for piece in sealed(cut(data, cut_at), KEY, bound_to=BOND, digest=digest)
    ]
    assert digest.digest() == sha256(data).digest()
    return b"".join(found)


async def opened(
    shut: bytes,
    size: int,
    *,
    start: int = 0,
    end: int | None = None,
    bond: bytes = BOND,
    key: DataKey = KEY,
) -> bytes:
    cipher = cipher_of(shut[:HEAD], key, bound_to=bond)
    assert cipher is not None
    wanted = SealedPieces(size, start=start, end=end)
    pieces = cut(shut[wanted.begins : wanted.ends], 70_001)
    return b"".join([plain async for plain in wanted.opened(pieces, cipher)])


@pytest.mark.parametrize("size", SIZES)
async def test_what_was_sealed_opens(size: int) -> None:
    data = os.urandom(size)
    shut = await closed(data)

    assert await opened(shut, size) == data
    assert len(shut) == HEAD + size + max(-(-size // PIECE), 1) * TAG


@settings(max_examples=60)
@given(st.sampled_from(SIZES), st.data())
async def test_any_part_opens(size: int, chosen: st.DataObject) -> None:
    start = chosen.draw(st.integers(0, size))
    end = chosen.draw(st.integers(start, size))
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    shut = await closed(data, cut_at=1_000_000)

    assert await opened(shut, size, start=start, end=end) == data[start:end]


async def test_the_same_bytes_are_sealed_differently_each_time() -> None:
    assert await closed(b"the same") != await closed(b"the same")


SIZE = 3 * PIECE


async def test_a_changed_bit_does_not_open() -> None:
    shut = bytearray(await closed(os.urandom(SIZE)))
    shut[HEAD + PIECE + TAG + 5] ^= 1

    with pytest.raises(SealBrokenError):
        await opened(bytes(shut), SIZE)


async def test_what_was_cut_off_does_not_open() -> None:
    shut = await closed(os.urandom(SIZE))

    for ends in (-1, -(PIECE + TAG), HEAD):
        with pytest.raises(SealBrokenError):
            await opened(shut[:ends], SIZE)
    with pytest.raises(SealBrokenError):  # nor does it pass for something shorter
        await opened(shut[: -(PIECE + TAG)], SIZE - PIECE)


async def test_pieces_cannot_change_places() -> None:
    shut = await closed(os.urandom(SIZE))
    step = PIECE + TAG
    one, two = shut[HEAD : HEAD + step], shut[HEAD + step : HEAD + 2 * step]

    with pytest.raises(SealBrokenError):
        await opened(shut[:HEAD] + two + one + shut[HEAD + 2 * step :], SIZE)


async def test_it_opens_only_as_what_it_is() -> None:
    shut = await closed(b"abc")

    with pytest.raises(SealBrokenError):
        await opened(shut, 3, bond=b"file of bob's")


async def test_without_its_key_it_stays_shut() -> None:
    shut = await closed(b"abc")

    assert cipher_of(shut[:HEAD], DataKey(os.urandom(32)), bound_to=BOND) is None
    with pytest.raises(SealBrokenError):
        cipher_of(b"\x01" + shut[1:HEAD], KEY, bound_to=BOND)
