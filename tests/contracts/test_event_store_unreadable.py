"""An event that this server cannot read stops its aggregate, and no reader."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from psycopg.types.numeric import Int8

from application.events import Events, UnknownKindError, line_of
from application.ports.browsing import Wanted
from application.ports.refusals import UnreadableEventError
from domain.user.events import UserActivated
from infrastructure.event_store.browse import PostgresBrowser
from infrastructure.event_store.claims import PostgresClaims
from infrastructure.event_store.mapper import UnknownTagError, UnreadableEvent
from infrastructure.event_store.statements import LOCK_KEYS, SESSION
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from tests.contracts.event_stores import KEYRING, Named, because

pytestmark = pytest.mark.server

UNREADABLE = {
    "unknown tag": ("project.exploded", 1, b"{}"),
    "unknown context": ("rocket.launched", 1, b"{}"),
    "newer version": ("project.renamed", 2, b'{"$tag":"project.renamed"}'),
    "no version": ("project.renamed", 0, b'{"$tag":"project.renamed"}'),
    "no JSON": ("project.renamed", 1, b'{"$tag":"project.renamed","name":'),
    "no bytes": ("project.renamed", 1, b""),
    "no UTF-8": ("project.renamed", 1, b'{"$tag":"project.renamed","name":"\xff"}'),
    "another's tag": ("project.renamed", 1, b'{"$tag":"project.opened"}'),
    "wrong field": ("project.renamed", 1, b'{"$tag":"project.renamed","name":7}'),
    "nested deeply": ("project.renamed", 1, b'{"x":' + b"[" * 10**5),
}


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(database, PostgresSubjectKeys(database, KEYRING))
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.fixture(params=sorted(UNREADABLE))
async def stream(
    request: pytest.FixtureRequest, store: PostgresEventStore, database: Database
) -> UUID:
    """A stream of two readable events, and one between them that is not."""
    tag, version, state = UNREADABLE[request.param]
    named = Named.called("a")
    await store.save(named, cause=because())
    async with database.pool.connection() as connection, connection.transaction():
        await connection.execute(SESSION["lock"], {"key": Int8(LOCK_KEYS["core"])})
        await connection.execute(
            "INSERT INTO es.core_events (originator_id, originator_version, topic,"
            " schema_version, state, metadata) VALUES (%s, 2, %s, %s, %s, '{}')",
            (named.id, tag, version, state),
        )
    blind = Named(named.id)
    blind.version = 1  # so that it is renamed, not opened
    blind.call("c")
    await store.save(anywhere=[blind], cause=because())
    return named.id


async def test_it_cannot_be_loaded_but_up_to_there(
    store: PostgresEventStore, stream: UUID
) -> None:
    with pytest.raises(UnreadableEventError):
        await store.load(Named, stream)

    assert (await store.load(Named, stream, version=1)).names == ["a"]


async def test_who_reads_the_stream_or_the_log_gets_something_in_its_place(
    store: PostgresEventStore, database: Database, stream: UUID
) -> None:
    browser = PostgresBrowser(database, store)
    found = await browser.forwards("core", Wanted(), after=0, upto=None, limit=9)
    read = (
        await store.read_stream("core", stream),
        await store.read_log("core"),
        list(found.events),
    )

    for events in read:
        assert [one.version for one in events] == [1, 2, 3]
        stands_in = [isinstance(one.event, UnreadableEvent) for one in events]
        assert stands_in == [False, True, False]
        line = line_of(events[1])
        assert (line.status, line.data) == ("unreadable", None)
        assert line.tag.partition(".")[0] in {"project", "rocket"}
        assert line.reason


@pytest.mark.parametrize("metadata", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 10**5])
async def test_damaged_metadata_stops_nobody(
    store: PostgresEventStore, database: Database, metadata: bytes
) -> None:
    stream = uuid4()
    async with database.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO es.core_events (originator_id, originator_version, topic,"
            " schema_version, state, metadata)"
            " VALUES (%s, 1, 'user.activated', 1, '{\"$tag\":\"user.activated\"}', %s)",
            (stream, metadata),
        )

    [read] = await store.read_log("core")

    assert (read.stream, read.event) == (stream, UserActivated())
    assert read.metadata.keys() == {"unreadable"}
    assert line_of(read).metadata == read.metadata


async def test_its_state_is_refused_in_a_sentence(
    store: PostgresEventStore, database: Database, stream: UUID
) -> None:
    events = Events(store, PostgresBrowser(database, store), PostgresClaims(database))

    with pytest.raises(UnreadableEventError) as refused:
        await events.state(stream)

    assert "cannot read" in refused.value.sentence or isinstance(
        refused.value, UnknownTagError
    )
    assert len(refused.value.sentence) < 300


async def test_a_stream_of_an_unknown_kind_is_refused_too(
    store: PostgresEventStore, database: Database
) -> None:
    events = Events(store, PostgresBrowser(database, store), PostgresClaims(database))
    stream = uuid4()
    async with database.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO es.core_events (originator_id, originator_version, topic,"
            " schema_version, state, metadata)"
            " VALUES (%s, 1, 'rocket.launched', 1, '{}', '{}')",
            (stream,),
        )

    with pytest.raises(UnknownKindError):
        await events.state(stream)
