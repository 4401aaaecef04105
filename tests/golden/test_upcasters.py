"""A drill: an event changed twice, and every letter ever sent can still be read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.kernel import Json
from infrastructure.event_store.mapper import (
    BrokenUpcastersError,
    MsgspecMapper,
    TagTakenError,
    UnknownTagError,
    UnreadableEvent,
    Upcaster,
)
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.sealing import SealingMapper
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts.event_stores import because
from tests.golden.drill.generations import (
    RELEASES,
    TAG,
    UPCASTERS,
    FirstLetterSent,
    Letters,
    LetterSent,
    Recipient,
    SecondLetterSent,
    gathered,
    parted,
)

FOLDER = Path(__file__).parent / "drill"
EXAMPLES = sorted(FOLDER.glob("*.example.json"))
BY = UUID("8b0f6c1a-52d3-4c7e-9a41-2f3e4d5c6b7a")
ADA = Recipient("Ada", "ada@example.org")
OF_EACH_RELEASE = (
    FirstLetterSent(by=BY, to="Ada <ada@example.org>", text="1"),
    SecondLetterSent(by=BY, to=ADA, text="2"),
    LetterSent(by=BY, recipients=(ADA, ADA), text="3", urgent=True),
)
TODAY = RELEASES[-1]
READ_TODAY = [
    LetterSent(by=BY, recipients=(ADA,), text="1"),
    LetterSent(by=BY, recipients=(ADA,), text="2"),
    LetterSent(by=BY, recipients=(ADA, ADA), text="3", urgent=True),
]


def version_of(path: Path) -> int:
    return int(path.name.removeprefix(f"{TAG}.v")[0])


def test_there_are_examples_of_every_version() -> None:
    assert {version_of(path) for path in EXAMPLES} == {1, 2, 3}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_reads_as_todays(path: Path) -> None:
    read = TODAY.decode(TAG, version_of(path), path.read_bytes())

    nameless = "nameless" in path.name
    to = Recipient("", ADA.address) if nameless else ADA
    text = "" if nameless else "Dear Ada,\nœ"
    assert read == LetterSent(by=BY, recipients=(to,), text=text)
    assert TODAY.decode(*TODAY.encode(read)) == read


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_release_reads_what_is_no_newer_than_itself(path: Path) -> None:
    for release, mapper in enumerate(RELEASES, 1):
        read = mapper.read(TAG, version_of(path), path.read_bytes())
        newer = version_of(path) > release
        assert isinstance(read, UnreadableEvent) == newer


def test_each_release_writes_its_own_version() -> None:
    written = [
        mapper.encode(letter).schema_version
        for mapper, letter in zip(RELEASES, OF_EACH_RELEASE, strict=True)
    ]

    assert written == [1, 2, 3]


async def test_a_stream_of_three_releases_is_read_in_memory() -> None:
    store, letters = MemoryEventStore(RELEASES[0]), Letters(uuid4())
    for mapper, letter in zip(RELEASES, OF_EACH_RELEASE, strict=True):
        store._mapper = SealingMapper(mapper)
        letters.send(letter)
        await store.save(letters, cause=because())

    assert (await store.load(Letters, letters.id)).sent == READ_TODAY
    log = await store.read_log("core")
    assert [one.event for one in log] == READ_TODAY


@asynccontextmanager
async def started(
    database: Database, mapper: MsgspecMapper
) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(database, mapper=mapper)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.mark.server
async def test_a_stream_of_three_releases_is_read_from_postgresql(
    database: Database,
) -> None:
    letters = Letters(uuid4())
    for mapper, letter in zip(RELEASES, OF_EACH_RELEASE, strict=True):
        async with started(database, mapper) as store:
            letters.send(letter)
            await store.save(letters, cause=because())

    async with started(database, TODAY) as store:
        loaded = await store.load(Letters, letters.id)
        log = await store.read_log("core")
        then = await store.load(Letters, letters.id, version=2)
        loaded.send(READ_TODAY[0])
        await store.save(loaded, cause=because())

    assert loaded.sent[:3] == [one.event for one in log] == READ_TODAY
    assert then.sent == READ_TODAY[:2]
    assert loaded.version == 4


def breaking(_: dict[str, Json]) -> dict[str, Json]:
    raise KeyError("Dear Ada, this is between us")


def no_object(_: dict[str, Json]) -> dict[str, Json]:
    return [object()]  # type: ignore[return-value]  # what a careless one might do


def half_done(document: dict[str, Json]) -> dict[str, Json]:
    return {"$tag": TAG, "text": document["text"]}


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("careless", [breaking, no_object, half_done])
def test_an_upcaster_that_fails_makes_its_event_unreadable_and_no_other(
    careless: Upcaster, number: int
) -> None:
    mapper = MsgspecMapper([LetterSent], {**UPCASTERS, (TAG, number): careless})
    first, third = EXAMPLES[0], EXAMPLES[-1]

    read = mapper.read(TAG, 1, first.read_bytes())

    assert isinstance(read, UnreadableEvent)
    assert TAG in read.reason
    assert "between us" not in read.reason
    assert isinstance(mapper.read(TAG, 3, third.read_bytes()), LetterSent)


@pytest.mark.parametrize(
    "state", [b"[]", b"7", b"null", b'"text"', b'{"$tag":"drill.letter_sent"}']
)
def test_what_no_upcaster_expects_is_unreadable(state: bytes) -> None:
    read = TODAY.read(TAG, 1, state)

    assert isinstance(read, UnreadableEvent)
    assert read.reason == f"{TAG}: upcaster 1 failed with {_error(state)}"


def _error(state: bytes) -> str:
    document = msgspec.json.decode(state)
    with pytest.raises(Exception) as failed:  # noqa: PT011 - whichever it is
        parted(document)
    return type(failed.value).__name__


@pytest.mark.parametrize("version", [1, 2, 3])
def test_what_is_nested_too_deeply_is_unreadable(version: int) -> None:
    deep = b'{"$tag":"drill.letter_sent","x":' + b"[" * 10**5 + b"]" * 10**5 + b"}"

    assert isinstance(TODAY.read(TAG, version, deep), UnreadableEvent)


@pytest.mark.parametrize("version", [-1, 0, 4, 32_767])
def test_a_version_that_never_was_is_unknown(version: int) -> None:
    with pytest.raises(UnknownTagError):
        TODAY.decode(TAG, version, EXAMPLES[-1].read_bytes())


@pytest.mark.parametrize(
    "upcasters",
    [
        {(TAG, 2): gathered},
        {(TAG, 1): parted, (TAG, 3): gathered},
        {(TAG, 0): parted, (TAG, 1): gathered},
        {("drill.letter_snet", 1): parted},
    ],
    ids=["begins late", "has a hole", "begins early", "for no tag"],
)
def test_a_broken_chain_stops_the_start(
    upcasters: dict[tuple[str, int], Upcaster],
) -> None:
    with pytest.raises(BrokenUpcastersError):
        MsgspecMapper([LetterSent], upcasters)


def test_a_tag_that_two_kinds_bear_stops_the_start() -> None:
    with pytest.raises(TagTakenError):
        MsgspecMapper([SecondLetterSent, LetterSent])
