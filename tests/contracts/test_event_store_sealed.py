"""What every event store promises about events that belong to somebody."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from importlib import import_module
from pkgutil import walk_packages
from typing import override
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection

import domain
from api.composition import forget_the_erased
from application.ports import StreamNotFoundError
from application.ports.refusals import SubjectErasedError, UnreadableEventError
from domain.flow.events import FlowDeleted
from domain.kernel import Aggregate
from domain.operation.operation import Operation
from domain.project.events import ProjectOpened, ProjectRenamed
from domain.user.user import User
from infrastructure.event_store.mapper import ErasedEvent, UnreadableEvent
from infrastructure.event_store.remains import PostgresEstate
from infrastructure.event_store.sealing import KeylessStoreError, SealingMapper
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import DataKey
from infrastructure.postgres import Database
from infrastructure.subject_keys import MemorySubjectKeys, PostgresSubjectKeys
from tests.contracts.event_stores import (
    KEYRING,
    OWNER,
    Diary,
    Named,
    NoBlobs,
    Stored,
    Talk,
    because,
)

ANNA, BERT = UUID(int=1), UUID(int=2)
ERASED = ErasedEvent(event_tag="project.renamed", subject=ANNA)


async def test_what_belongs_to_somebody_is_sealed_where_it_lies(stored: Stored) -> None:
    diary = Diary.kept("a canary", "another canary", of=ANNA)
    await stored.store.save(diary, Named.called("a bird"), cause=because())

    states = await stored.states()

    assert [b"canary" in state for state in states] == [False] * 3
    assert [b"bird" in state for state in states] == [False, False, True]
    assert (await stored.store.load(Diary, diary.id)).names == diary.names
    told = [one.event for one in await stored.store.read_stream("core", diary.id)]
    assert told == [
        ProjectOpened(owner=ANNA, name="a canary"),
        ProjectRenamed(name="another canary"),
    ]
    assert [one.event for one in await stored.store.read_log("core", limit=2)] == told


async def test_equal_events_are_not_seen_to_be_equal(stored: Stored) -> None:
    await stored.store.save(Diary.kept("a", "b", "b", of=ANNA), cause=because())

    assert len(set(await stored.states())) == 3


async def test_of_the_erased_remains_that_something_happened(stored: Stored) -> None:
    diary = Diary.kept("a canary", "another", of=ANNA)
    others = Diary.kept("a bird", of=BERT)
    await stored.store.save(diary, others, cause=because())
    before = await stored.states()

    await stored.erase(ANNA)

    read = await stored.store.read_log("core")
    assert [one.event for one in read] == [
        ErasedEvent(event_tag="project.opened", subject=ANNA),
        ErasedEvent(event_tag="project.renamed", subject=ANNA),
        ProjectOpened(owner=BERT, name="a bird"),
    ]
    assert [one.version for one in read] == [1, 2, 1]
    assert await stored.states() == before  # no byte of history is ever changed
    with pytest.raises(StreamNotFoundError):
        await stored.store.load(Diary, diary.id)
    assert (await stored.store.load(Diary, others.id)).names == ["a bird"]


async def test_what_says_nothing_of_a_person_outlives_the_key(stored: Stored) -> None:
    diary = Diary.kept("a canary", of=ANNA)
    diary.burn()
    await stored.store.save(diary, cause=because())

    await stored.erase(ANNA)

    opened, burnt = await stored.store.read_stream("core", diary.id)
    assert isinstance(opened.event, ErasedEvent)
    assert burnt.event == FlowDeleted()


async def test_what_the_erased_said_to_others_is_passed_over(stored: Stored) -> None:
    diary = Diary.kept("berts", of=BERT)
    await stored.store.save(diary, cause=because())
    guest = Diary(diary.id, of=ANNA)
    guest.replay(ProjectOpened(owner=ANNA, name=""))
    guest.call("a canary")
    await stored.store.save(guest, cause=because())
    diary = await stored.store.load(Diary, diary.id)
    diary.call("berts again")
    await stored.store.save(diary, cause=because())

    await stored.erase(ANNA)

    loaded = await stored.store.load(Diary, diary.id)
    assert (loaded.names, loaded.version) == (["berts", "berts again"], 3)


async def test_the_erased_can_do_nothing_any_more(stored: Stored) -> None:
    diary = Diary.kept("a", of=ANNA)
    await stored.store.save(diary, cause=because())
    await stored.erase(ANNA)
    diary.call("a canary")

    with pytest.raises(SubjectErasedError):
        await stored.store.save(diary, cause=because())
    with pytest.raises(SubjectErasedError):
        await stored.store.save(Diary.kept("a canary", of=ANNA), cause=because())

    # Somebody may still put on record what is not about them.
    burnt = Diary(diary.id, of=ANNA)
    burnt.replay(ProjectOpened(owner=ANNA, name=""))
    burnt.burn()
    await stored.store.save(burnt, cause=because())
    assert len(await stored.states()) == 2


def test_every_aggregate_says_whose_it_is() -> None:
    for module in walk_packages(domain.__path__, "domain."):
        import_module(module.name)
    kinds = {
        kind
        for kind in Aggregate.__subclasses__()
        if kind.__module__.startswith("domain.")
    }

    nobodys = {kind for kind in kinds if kind.subject is Aggregate.subject}

    assert nobodys == {Operation}
    assert len(kinds) > 4


async def test_a_state_opens_only_where_it_was_sealed() -> None:
    keys = MemorySubjectKeys()
    mapper = SealingMapper(keys=keys)
    diary = Diary.kept("a", "b", of=ANNA)
    with_keys = await mapper.keys_to_seal([diary])
    opened, renamed = mapper.encoded(diary, with_keys)
    await keys.of(BERT)
    keys_to_open = await mapper.keys_to_open([ANNA, BERT])

    assert mapper.decode(diary.id, opened, keys_to_open) == diary.recorded[0]
    for stream, moved in (
        (uuid4(), opened),
        (diary.id, opened._replace(tag=renamed.tag)),
        (diary.id, opened._replace(schema_version=2)),
        (diary.id, opened._replace(state=opened.state[:-1] + b"x")),
        (diary.id, opened._replace(state=b"")),
    ):
        with pytest.raises(UnreadableEventError):
            mapper.decode(stream, moved, keys_to_open)
    # Under somebody else's name it looks like what a destroyed key had sealed.
    foreign = mapper.decode(diary.id, opened._replace(subject=BERT), keys_to_open)
    assert isinstance(foreign, ErasedEvent)


async def test_a_lost_key_is_not_an_erasure() -> None:
    mapper = SealingMapper(keys=MemorySubjectKeys())
    diary = Diary.kept("a", of=ANNA)
    [stored] = mapper.encoded(diary, await mapper.keys_to_seal([diary]))

    read = SealingMapper(keys=MemorySubjectKeys()).read(diary.id, stored, {})

    assert isinstance(read, UnreadableEvent)
    assert f"no key of {ANNA}" in read.reason


async def test_without_keys_nothing_of_anybody_is_taken() -> None:
    with pytest.raises(KeylessStoreError):
        await SealingMapper().keys_to_seal([Diary.kept("a")])
    with pytest.raises(KeylessStoreError):
        await SealingMapper().keys_to_open([OWNER])


class CountingKeys(PostgresSubjectKeys):
    """Tells how often the database was asked."""

    asked = 0

    @override
    async def _read(self, subjects: Collection[UUID]) -> dict[UUID, DataKey | None]:
        self.asked += 1
        return await super()._read(subjects)


@asynccontextmanager
async def opened(
    database: Database, keys: PostgresSubjectKeys
) -> AsyncIterator[PostgresEventStore]:
    store = PostgresEventStore(database, keys)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@pytest.mark.server
async def test_keys_are_asked_for_once_and_in_sets(database: Database) -> None:
    async with opened(database, PostgresSubjectKeys(database, KEYRING)) as store:
        for number in range(20):
            await store.save(Diary.kept("a", of=UUID(int=number + 1)), cause=because())
    keys = CountingKeys(database, KEYRING)
    async with opened(database, keys) as store:
        assert len(await store.read_log("core")) == 20
        assert keys.asked == 1
        await store.save(Diary.kept("a", "b", of=ANNA), cause=because())
        await store.save(Diary.kept("a", "b", of=BERT), cause=because())
        assert len(await store.read_log("core")) == 24
        assert keys.asked == 1


@pytest.mark.server
async def test_a_server_that_still_has_the_key_cannot_append_with_it(
    database: Database,
) -> None:
    here, there = (PostgresSubjectKeys(database, KEYRING) for _ in range(2))
    async with opened(database, here) as store, opened(database, there) as other:
        diary = Diary.kept("a", of=ANNA)
        await store.save(diary, cause=because())
        await other.load(Diary, diary.id)
        async with database.pool.connection() as connection:
            await connection.execute(
                "UPDATE es.subject_keys SET wrapped = '', key_id = ''"
            )
        diary.call("a canary")
        assert there.known(ANNA) is not None

        with pytest.raises(SubjectErasedError):
            await other.save(diary, cause=because())


@pytest.mark.server
async def test_a_server_forgets_the_key_when_it_sees_the_erasure(
    database: Database,
) -> None:
    here, there = (PostgresSubjectKeys(database, KEYRING) for _ in range(2))
    async with opened(database, here) as store, opened(database, there) as other:
        diary = Diary.kept("a canary", of=ANNA)
        await store.save(diary, cause=because())
        assert (await other.load(Diary, diary.id)).names == ["a canary"]
        await PostgresEstate(database, here, NoBlobs()).close(ANNA)
        user = User(ANNA)
        user.erase()
        await store.save(anywhere=[user], cause=because())

        seen = await other.read_log("core")
        forget_the_erased(there, seen)

        with pytest.raises(StreamNotFoundError):
            await other.load(Diary, diary.id)
        first, *_ = await other.read_log("core")
        assert isinstance(first.event, ErasedEvent)


@pytest.mark.server
async def test_until_no_older_server_runs_states_are_plain(database: Database) -> None:
    async with await AsyncConnection.connect(
        database.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute("DELETE FROM es.features")
        keys = PostgresSubjectKeys(database, KEYRING)
        async with opened(database, keys) as store:
            diary = Diary.kept("plain", of=ANNA)
            await store.save(diary, cause=because())
            await owner.execute("INSERT INTO es.features VALUES ('sealed_states')")
            store._looked_at = 0.0  # half a minute later
            diary.call("sealed")
            await store.save(diary, cause=because())

            assert (await store.load(Diary, diary.id)).names == ["plain", "sealed"]
        rows = await owner.execute(
            "SELECT state::json ->> 'name', subject FROM es.core ORDER BY position"
        )
        assert await rows.fetchall() == [("plain", None), (None, ANNA)]


@pytest.mark.server
async def test_people_see_that_a_state_is_sealed(
    stored_in_postgres: Stored, database: Database
) -> None:
    await stored_in_postgres.store.save(Talk.opened(), cause=because())
    diary = Diary.kept("a", of=ANNA)
    await stored_in_postgres.store.save(diary, cause=because())

    async with database.pool.connection() as connection:
        rows = await connection.execute("SELECT state, subject FROM es.core")
        assert await rows.fetchall() == [(None, ANNA)]
        rows = await connection.execute("SELECT state IS NULL, subject FROM es.runs")
        assert await rows.fetchall() == [(False, None)]
