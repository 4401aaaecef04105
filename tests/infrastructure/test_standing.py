"""What people may is asked of the log itself, and never of what lags behind it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest

from application.ports import SYSTEM, Cause
from application.standing import Standings
from domain.kernel import Log
from domain.user.user import User
from infrastructure.event_store.heads import PostgresHeads
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys

pytestmark = pytest.mark.server

KEY = UUID(int=7)


class CountedHeads:
    """Counts how often the logs are asked."""

    def __init__(self, database: Database) -> None:
        self.asked: list[set[UUID]] = []
        self._heads = PostgresHeads(database)

    async def versions(self, log: Log, streams: Sequence[UUID], /) -> dict[UUID, int]:
        self.asked.append(set(streams))
        return await self._heads.versions(log, streams)


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresEventStore]:
    keys = PostgresSubjectKeys(database, Keyring("a secret that only tests know"))
    store = PostgresEventStore(database, keys)
    await store.start()
    yield store
    await store.stop()


@pytest.fixture
def heads(database: Database) -> CountedHeads:
    return CountedHeads(database)


@pytest.fixture
def standings(store: PostgresEventStore, heads: CountedHeads) -> Standings:
    return Standings(store, heads)


async def saved(store: PostgresEventStore, user: User) -> None:
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    await store.save(user, cause=cause)


async def joined(store: PostgresEventStore) -> User:
    user = User.register(uuid4(), username="ada", active=True)
    user.issue_api_key(KEY, name="k", hint="sk-12345")
    await saved(store, user)
    return user


async def test_a_decision_counts_from_the_moment_it_is_stored(
    store: PostgresEventStore, standings: Standings
) -> None:
    user = await joined(store)
    before = await standings.get(user.id)
    assert before is not None
    assert (before.active, before.superuser) == (True, False)
    assert before.api_keys[KEY].active

    user.change_api_key(KEY, active=False)
    user.grant_superuser()
    await saved(store, user)
    now = await standings.get(user.id)

    assert now is not None
    assert now.superuser
    assert not now.api_keys[KEY].active
    assert before.api_keys[KEY].active  # what was told stays as it was told
    user.revoke_api_key(KEY)
    user.deactivate()
    await saved(store, user)
    last = await standings.get(user.id)
    assert last is not None
    assert not last.active
    assert not last.api_keys


async def test_nobody_and_the_erased_have_no_standing(
    store: PostgresEventStore, standings: Standings
) -> None:
    user = await joined(store)
    assert await standings.get(uuid4()) is None
    assert await standings.get(user.id) is not None

    user.erase()
    await saved(store, user)

    assert await standings.get(user.id) is None
    assert await standings.get(user.id) is None


async def test_all_who_ask_at_once_are_asked_for_in_two_reads(
    store: PostgresEventStore, standings: Standings, heads: CountedHeads
) -> None:
    people = [await joined(store) for _ in range(8)]

    found = await asyncio.gather(*(standings.get(p.id) for p in people * 5))

    assert all(one is not None and one.active for one in found)
    # The first one is asked for at once; who comes meanwhile joins the second read.
    assert len(heads.asked) <= 2


async def test_who_asks_while_much_happens_is_never_told_less(
    store: PostgresEventStore, standings: Standings
) -> None:
    user = await joined(store)
    done = asyncio.Event()

    async def ask() -> list[int]:
        seen: list[int] = []
        while not done.is_set():
            standing = await standings.get(user.id)
            assert standing is not None
            seen.append(standing.version)
        return seen

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    for n in range(30):
        user.change_api_key(KEY, name=f"name {n}")
        await saved(store, user)
        standing = await standings.get(user.id)
        assert standing is not None
        assert standing.version == user.version
    done.set()
    for seen in await asyncio.gather(*asking):
        assert seen == sorted(seen)
