"""Zips are packed while they are sent: what waits is bounded, whatever their size."""

import io
import os
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from api.v1.flow_lists import MOST_TOGETHER, in_parts
from api.zip_stream import Member, zipped
from projections.flows.views import TOGETHER, FlowHeader

CHUNK = 64 * 1024


async def chunks(number: int, data: bytes) -> AsyncGenerator[bytes]:
    for _ in range(number):
        yield data


@pytest.mark.parametrize("data", [os.urandom(CHUNK), b"a" * CHUNK])
async def test_a_zip_holds_no_more_than_a_chunk_of_what_it_packs(data: bytes) -> None:
    asked = 0

    async def members() -> AsyncIterator[Member]:
        nonlocal asked
        for nth in range(20):
            asked += 1
            yield Member(f"{nth}.bin", 50 * CHUNK, chunks(50, data))

    packed = io.BytesIO()
    most = 0
    async for piece in zipped(members()):
        most = max(most, len(piece))
        packed.write(piece)
        if asked == 1:
            assert packed.tell() < 52 * CHUNK  # the others were not asked for yet

    assert most < 2 * CHUNK
    with zipfile.ZipFile(packed) as archive:
        assert len(archive.namelist()) == 20
        assert archive.testzip() is None
        assert archive.read("19.bin") == data * 50


def header(size: int) -> FlowHeader:
    now = datetime.now(UTC)
    return FlowHeader(
        *(uuid4(), uuid4(), uuid4(), "f", None, None, None, None, None, None),
        *(False, False, False, "PRIVATE", False, None, None),
        *(now, now, 1, size, None),
    )


def test_flows_are_read_in_parts_that_are_bounded_and_lose_none() -> None:
    sizes = [
        10,
        TOGETHER,
        1,
        TOGETHER + 1,
        TOGETHER // 2,
        TOGETHER // 2,
        5,
        *[0] * 2500,
    ]
    heads = [header(size) for size in sizes]

    parts = list(in_parts(heads))

    assert [head for part in parts for head in part] == heads
    for part in parts:
        assert len(part) == 1 or sum(head.size for head in part) <= TOGETHER
        assert len(part) <= MOST_TOGETHER
    assert len(parts) == 8
    assert list(in_parts([])) == []
