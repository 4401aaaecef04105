"""What sealed contents and secrets must do, in memory and in PostgreSQL."""

import asyncio
import os
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from application.ports import Attached, Content, Sealed
from application.ports.refusals import SubjectErasedError
from infrastructure.blobs.local import LocalBlobs
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.installation_keys import keyring_in
from infrastructure.keyring import Keyring, SealBrokenError, WrongKeyError
from infrastructure.postgres import Database
from infrastructure.secrets import (
    LARGEST_ROW,
    MemoryContents,
    MemoryVault,
    PostgresContents,
    PostgresVault,
)
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import KEYRING, Named, NoBlobs, Stored, because

ANNA, BERT = UUID(int=1), UUID(int=2)


class Sealing(msgspec.Struct, frozen=True):
    """One of each, over one store, and the blobs of long contents."""

    stored: Stored
    contents: PostgresContents | MemoryContents
    vault: PostgresVault | MemoryVault
    blobs: LocalBlobs

    async def save(self, *kept: Content | Sealed) -> None:
        attached = Attached(
            contents=[one for one in kept if isinstance(one, Content)],
            secrets=[one for one in kept if isinstance(one, Sealed)],
        )
        await self.attach(attached)

    async def attach(self, attached: Attached) -> None:
        named = Named.called("a")
        await self.stored.store.save(named, cause=because(), attached=attached)


@pytest.fixture
def sealing(request: pytest.FixtureRequest, stored: Stored, tmp_path: Path) -> Sealing:
    blobs = LocalBlobs(tmp_path)
    if isinstance(stored.store, MemoryEventStore):
        contents = MemoryContents(stored.store, KEYRING, blobs)
        return Sealing(stored, contents, MemoryVault(stored.store), blobs)
    database = request.getfixturevalue("database")
    return Sealing(
        stored,
        PostgresContents(database, KEYRING, blobs),
        PostgresVault(database, KEYRING),
        blobs,
    )


@pytest.mark.parametrize("size", [0, 1, LARGEST_ROW, LARGEST_ROW + 1, 2_000_000])
async def test_a_content_opens_to_what_was_sealed(sealing: Sealing, size: int) -> None:
    data = os.urandom(size)
    content = await sealing.contents.seal(ANNA, data)
    await sealing.save(content)

    assert await sealing.contents.open([content.ref.id]) == {content.ref.id: data}
    assert content.ref.size == size


async def test_many_contents_open_in_one_read(sealing: Sealing) -> None:
    kept = [await sealing.contents.seal(ANNA, b"%d" % n) for n in range(20)]
    kept += [await sealing.contents.seal(BERT, b"%d" % n) for n in range(20)]
    await sealing.save(*kept)

    opened = await sealing.contents.open([one.ref.id for one in kept])

    assert [opened[one.ref.id] for one in kept] == 2 * [b"%d" % n for n in range(20)]


async def test_what_was_sealed_cannot_be_read_in_the_rows_or_the_blobs(
    sealing: Sealing, tmp_path: Path
) -> None:
    short = await sealing.contents.seal(ANNA, b"canary")
    long = await sealing.contents.seal(ANNA, b"canary" * LARGEST_ROW)
    secret = await sealing.vault.seal(ANNA, "variable", "canary")

    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]

    assert long.address is not None
    assert len(files) == 1
    for sealed in (short.sealed, secret.sealed, *files):
        assert b"canary" not in sealed


async def test_the_same_words_are_never_sealed_to_the_same_bytes(
    sealing: Sealing,
) -> None:
    one, other = [await sealing.contents.seal(ANNA, b"same") for _ in range(2)]

    assert one.sealed != other.sealed
    assert one.ref.digest == other.ref.digest


async def test_a_forgotten_content_is_left_out(sealing: Sealing) -> None:
    gone = await sealing.contents.seal(ANNA, b"gone")
    kept = await sealing.contents.seal(ANNA, b"kept")
    await sealing.save(gone, kept)

    await sealing.attach(Attached(forgotten=[gone.ref.id]))

    opened = await sealing.contents.open([gone.ref.id, kept.ref.id, uuid4()])
    assert opened == {kept.ref.id: b"kept"}


async def test_a_content_whose_blob_is_gone_is_left_out(sealing: Sealing) -> None:
    content = await sealing.contents.seal(ANNA, os.urandom(LARGEST_ROW * 2))
    await sealing.save(content)

    await sealing.blobs.delete(content.address or "")

    assert await sealing.contents.open([content.ref.id]) == {}


async def test_a_secret_opens_to_what_was_sealed(sealing: Sealing) -> None:
    words = ["sk-12345", "", "p\u00e4ss\x00word \U0001f511", "\ud800"]
    kept = [await sealing.vault.seal(ANNA, "variable", word) for word in words]
    await sealing.save(*kept)

    opened = await sealing.vault.open([one.id for one in kept])

    assert [opened[one.id] for one in kept] == words


async def test_a_destroyed_secret_is_left_out(sealing: Sealing) -> None:
    secret = await sealing.vault.seal(ANNA, "variable", "sk-12345")
    await sealing.save(secret)

    await sealing.attach(Attached(destroyed=[secret.id]))

    assert await sealing.vault.open([secret.id]) == {}


async def test_sealed_bytes_open_only_where_they_belong(sealing: Sealing) -> None:
    annas = await sealing.vault.seal(ANNA, "variable", "sk-12345")
    moved = msgspec.structs.replace(annas, id=uuid4())
    renamed = msgspec.structs.replace(
        await sealing.vault.seal(ANNA, "variable", "sk-12345"), kind="password"
    )
    await sealing.save(moved, renamed)

    for secret in (moved, renamed):
        with pytest.raises(SealBrokenError):
            await sealing.vault.open([secret.id])


async def test_nothing_is_asked_for_nothing(sealing: Sealing) -> None:
    assert await sealing.contents.open([]) == {}
    assert await sealing.vault.open([]) == {}


@pytest.fixture
def contents(database: Database, tmp_path: Path) -> PostgresContents:
    return PostgresContents(database, KEYRING, LocalBlobs(tmp_path))


@pytest.mark.server
async def test_of_many_who_need_a_key_at_once_all_get_the_same(
    database: Database, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path)
    servers = [PostgresContents(database, KEYRING, blobs) for _ in range(20)]

    sealed = await asyncio.gather(*(one.seal(ANNA, b"x") for one in servers))

    assert len({content.sealed[:5] for content in sealed}) == 1
    async with database.pool.connection() as connection:
        rows = await connection.execute("SELECT count(*) FROM es.subject_keys")
        assert await rows.fetchone() == (1,)


@pytest.mark.server
async def test_another_server_opens_what_this_one_sealed(
    stored_in_postgres: Stored, database: Database, contents: PostgresContents
) -> None:
    content = await contents.seal(ANNA, b"hello")
    await stored_in_postgres.store.save(
        Named.called("a"), cause=because(), attached=Attached(contents=[content])
    )

    other = PostgresContents(database, KEYRING, NoBlobs())

    assert await other.open([content.ref.id]) == {content.ref.id: b"hello"}


@pytest.mark.server
async def test_with_another_installation_key_the_start_is_refused(
    database: Database, contents: PostgresContents
) -> None:
    keys = await keyring_in(database, KEYRING.secrets)
    await contents.seal(ANNA, b"hello")
    assert (await keyring_in(database, KEYRING.secrets)).id == keys.id

    another = Keyring("another").secrets
    with pytest.raises(WrongKeyError) as refused:
        await keyring_in(database, another)

    # One line, which says what was sealed with and what was given, and no secret.
    said = str(refused.value)
    assert KEYRING.id in said
    assert another.id in said
    assert "\n" not in said
    assert "another" not in said


@pytest.mark.server
async def test_who_is_erased_cannot_be_read_even_from_a_backup(
    stored_in_postgres: Stored,
    database: Database,
    contents: PostgresContents,
    tmp_path: Path,
) -> None:
    kept = [await contents.seal(who, os.urandom(100_000)) for who in (ANNA, BERT)]
    attached = Attached(contents=kept)
    await stored_in_postgres.store.save(
        Named.called("a"), cause=because(), attached=attached
    )

    estate = PostgresEstate(
        database, PostgresSubjectKeys(database, KEYRING), LocalBlobs(tmp_path)
    )
    await estate.close(ANNA)
    gone = await estate.clear(ANNA)

    assert gone == {"blobs": 1, "contents": 1}
    annas, berts = kept
    assert list(await contents.open([annas.ref.id, berts.ref.id])) == [berts.ref.id]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    async with database.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT subject, wrapped = '' FROM es.subject_keys ORDER BY subject"
        )
        assert await rows.fetchall() == [(ANNA, True), (BERT, False)]


@pytest.mark.server
async def test_who_is_erased_never_gets_a_key_again(
    stored_in_postgres: Stored, database: Database, contents: PostgresContents
) -> None:
    elsewhere = PostgresContents(database, KEYRING, NoBlobs())
    late = await elsewhere.seal(ANNA, b"sealed before the erasure, saved after it")
    keys = PostgresSubjectKeys(database, KEYRING)
    await PostgresEstate(database, keys, NoBlobs()).close(ANNA)

    with pytest.raises(SubjectErasedError):
        await contents.seal(ANNA, b"hello")
    with pytest.raises(SubjectErasedError):
        await stored_in_postgres.store.save(
            Named.called("a"), cause=because(), attached=Attached(contents=[late])
        )

    assert await stored_in_postgres.contents() == {}


@pytest.mark.server
async def test_blobs_of_forgotten_contents_can_be_discarded(
    stored_in_postgres: Stored, contents: PostgresContents, tmp_path: Path
) -> None:
    content = await contents.seal(ANNA, os.urandom(100_000))
    store = stored_in_postgres.store
    attached = Attached(contents=[content])
    await store.save(Named.called("a"), cause=because(), attached=attached)

    addresses = await contents.blobs_of([content.ref.id])
    await contents.discard(addresses)

    assert addresses == [content.address]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
