"""Whatever somebody does to archives, verifying names it."""

import gzip
from collections.abc import Callable

import msgspec
import pytest

from infrastructure.archive.archives import archive_id
from tests.infrastructure.archiving import (
    Store,
)

pytestmark = pytest.mark.server


def edited(line: bytes) -> bytes:
    event = msgspec.json.decode(line)
    return msgspec.json.encode(event | {"state": "e30="})


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda lines: [*lines[:2], edited(lines[2]), *lines[3:]], "changed"),
        (lambda lines: [*lines[:2], *lines[3:]], "removed"),
    ],
)
async def test_an_event_edited_in_an_archive_is_named(
    kept: Store, change: Callable[[list[bytes]], list[bytes]], kind: str
) -> None:
    await kept.month()
    archive = await kept.move()
    [chunk] = (await kept.archiver._shelf.manifest(archive)).chunks
    third = (await kept.archiver._shelf.events(chunk))[2]
    await kept.rewrite(archive, change)

    _, runs = await kept.room.evidence.verify()

    assert [one.kind for one in runs.findings] == ["archive", kind]
    assert "is not what was written" in runs.findings[0].says
    named = runs.findings[1]
    assert (named.position, named.stream, named.version) == (
        third.position,
        third.stream,
        third.version,
    )


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x1f\x8b garbage", gzip.compress(b"{}")],
    ids=["empty", "no gzip", "no event"],
)
async def test_a_file_that_cannot_be_read_is_named_once(
    kept: Store, garbage: bytes
) -> None:
    await kept.month()
    archive = await kept.move()
    [chunk] = (await kept.archiver._shelf.manifest(archive)).chunks
    kept.file(chunk.address).write_bytes(garbage)

    _, runs = await kept.room.evidence.verify()

    assert {one.kind for one in runs.findings} == {"archive"}
    assert all(chunk.address in one.says for one in runs.findings)


async def test_a_missing_file_or_manifest_is_named(kept: Store) -> None:
    await kept.month()
    archive = await kept.move()
    manifest = await kept.archiver._shelf.manifest(archive)
    for address in (
        manifest.pages[0].address,
        manifest.chunks[0].address,
        archive.address,
    ):
        kept.file(address).unlink()
        _, runs = await kept.room.evidence.verify()
        assert {one.kind for one in runs.findings} == {"archive"}
        assert any(address in one.says for one in runs.findings)


async def test_a_forgotten_or_exchanged_archive_is_known_by_its_record(
    kept: Store,
) -> None:
    await kept.month()
    archive = await kept.move()
    manifest = await kept.archiver._shelf.manifest(archive)
    forged = msgspec.json.encode(msgspec.structs.replace(manifest, events=10))
    address = await kept.room.blobs.put(forged)

    await kept.room.tamper("UPDATE es.archives SET address = %s", address)
    _, exchanged = await kept.room.evidence.verify()
    await kept.room.tamper("UPDATE es.archives SET id = %s", archive_id(address))
    _, renamed = await kept.room.evidence.verify()
    await kept.room.tamper("DELETE FROM es.archives")
    _, forgotten = await kept.room.evidence.verify()

    assert "not the one on record" in exchanged.findings[0].says
    assert any("is missing" in one.says for one in renamed.findings)
    assert any("another manifest" in one.says for one in renamed.findings)
    assert [one.kind for one in forgotten.findings] == ["archive"]
