"""Whose caller was cancelled, at whatever moment, can ask what the command came to."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from psycopg import AsyncConnection

from application.ports import (
    Attached,
    Cause,
    Claim,
    IdempotencyKeyReusedError,
    OutcomeUnknownError,
    StoreBusyError,
)
from infrastructure.event_store import store as postgres
from infrastructure.event_store.statements import LOCK_KEYS
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import Limits
from infrastructure.postgres import Database
from tests.contracts.event_stores import Named, Talk, because
from tests.contracts.postgres_stores import held_up, opened, stuck

pytestmark = pytest.mark.server

KEYED = pytest.mark.parametrize("keyed", [True, False], ids=["with a key", "without"])


def asked(*, keyed: bool) -> Cause:
    return because(key=uuid4() if keyed else None)


async def soon(task: asyncio.Task[Any]) -> None:
    """Let the loop turn until *task* has had every chance to end."""
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not task.done()


@KEYED
async def test_who_left_the_queue_has_stored_nothing(
    database: Database, *, keyed: bool
) -> None:
    cause = asked(keyed=keyed)
    async with opened(database) as store:
        async with held_up(database):
            first = asyncio.create_task(store.save(Named.called("a"), cause=because()))
            await stuck(database)
            gone = asyncio.create_task(store.save(Named.called("b"), cause=cause))
            await asyncio.sleep(0)
            gone.cancel()
            assert await store.answered(cause) is None  # known at once
        await first
        assert await store.outcome(cause) is None
        assert len(await store.read_log("core")) == 1


@KEYED
async def test_who_left_during_the_commit_is_told_how_it_ended(
    database: Database, *, keyed: bool
) -> None:
    cause = asked(keyed=keyed)
    async with opened(database, Limits(lock_timeout=20)) as store:
        named = Named.called("a")
        async with held_up(database):
            gone = asyncio.create_task(store.save(named, cause=cause))
            await stuck(database)
            gone.cancel()
            asking = asyncio.create_task(store.answered(cause))
            await soon(asking)
        told = await asking

        assert told is not None
        assert told.repeated
        [stored] = await store.read_log("core")
        assert (stored.stream, stored.position) == (named.id, told.position.core)
        assert await store.outcome(cause) == told


@KEYED
async def test_who_left_at_the_very_end_is_told_too(
    database: Database, *, keyed: bool
) -> None:
    cause = asked(keyed=keyed)
    async with opened(database) as store:
        save = asyncio.create_task(store.save(Named.called("a"), cause=cause))

        def leave(*_: object) -> None:
            save.cancel()

        store.on_append.append(leave)
        with pytest.raises(asyncio.CancelledError):
            await save

        assert await store.answered(cause) is not None
        assert len(await store.read_log("core")) == 1


@KEYED
async def test_who_left_before_the_connection_broke_is_told(
    database: Database, *, keyed: bool
) -> None:
    cause = asked(keyed=keyed)
    async with opened(database, Limits(lock_timeout=20)) as store:
        async with held_up(database):
            gone = asyncio.create_task(store.save(Named.called("a"), cause=cause))
            await stuck(database)
            gone.cancel()
            await cut(store, database)
            asking = asyncio.create_task(store.answered(cause))
            await soon(asking)
        assert await asking is None
        assert await store.read_log("core") == []


async def test_what_nobody_can_tell_is_not_called_refused(database: Database) -> None:
    cause = asked(keyed=False)
    async with opened(database, Limits(lock_timeout=0.5)) as store:
        async with held_up(database):
            gone = asyncio.create_task(store.save(Named.called("a"), cause=cause))
            await stuck(database)
            gone.cancel()
            await cut(store, database)
            with pytest.raises(OutcomeUnknownError):
                await store.answered(cause)
        with pytest.raises(OutcomeUnknownError):
            await store.outcome(cause)


async def test_a_repeat_waits_for_the_first_to_end(database: Database) -> None:
    cause = asked(keyed=True)
    async with opened(database, Limits(lock_timeout=20)) as store:
        async with held_up(database):
            first = asyncio.create_task(
                store.save(Named.called("a"), cause=cause, answer=b"first")
            )
            await stuck(database)
            repeat = asyncio.create_task(store.answered(cause))
            other = because(key=cause.command_id, request=b"another")
            reused = asyncio.create_task(store.answered(other))
            await soon(repeat)
        saved, told = await asyncio.gather(first, repeat)

        assert told is not None
        assert (told.position, told.answer) == (saved.position, b"first")
        with pytest.raises(IdempotencyKeyReusedError):
            await reused


@asynccontextmanager
async def held_in_the_middle(database: Database, claim: Claim) -> AsyncIterator[None]:
    """Have whoever claims *claim* wait in the middle of the transaction."""
    async with await AsyncConnection.connect(database.dsn) as connection:
        await connection.execute(
            "INSERT INTO es.claims (kind, key, holder) VALUES (%s, %s, %s)",
            [claim.kind, claim.key, uuid4()],
        )
        yield
        await connection.rollback()


async def test_another_server_waits_for_a_commit_under_way(database: Database) -> None:
    cause, claim = asked(keyed=True), Claim("name", "a", uuid4())
    async with opened(database) as store, opened(database) as other:
        async with held_in_the_middle(database, claim):
            save = asyncio.create_task(
                store.save(
                    Named.called("a"), cause=cause, attached=Attached(claims=[claim])
                )
            )
            await stuck(database)
            assert await other.answered(cause) is None
            asking = asyncio.create_task(other.outcome(cause))
            await soon(asking)
        saved, told = await asyncio.gather(save, asking)

        assert told is not None
        assert told.position == saved.position


async def test_a_log_that_stays_locked_cannot_be_asked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "LOCK_TIMEOUT", "50ms")
    async with opened(database) as store, held_up(database):
        with pytest.raises(StoreBusyError):
            await store.outcome(asked(keyed=True))


async def cut(store: PostgresEventStore, database: Database) -> None:
    async with database.pool.connection() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(%s, 1000)", [store._writers["core"]._backend]
        )


async def test_whatever_happens_all_is_stored_or_nothing_and_that_is_told(
    database: Database,
) -> None:
    """People leave at any moment while the connection is cut again and again."""
    async with opened(database, Limits(batch_commands=5)) as store:
        told: dict[Named, bool] = {}

        async def save(number: int) -> None:
            named = Named.called(*"abc")
            cause = asked(keyed=number % 2 == 0)
            # Some leave at once: on the quickest machine, too, not all is stored.
            patience = random.uniform(0, 0.03) if number % 9 else 0
            try:
                async with asyncio.timeout(patience):
                    await store.save(named, cause=cause)
            except TimeoutError:
                ask = store.outcome if number % 3 else store.answered
                told[named] = await ask(cause) is not None
            else:
                told[named] = True

        async def come(person: int) -> None:
            for number in range(20):
                await save(person * 20 + number)

        async def disturb() -> None:
            for _ in range(12):
                await asyncio.sleep(0.02)
                await cut(store, database)

        await asyncio.gather(disturb(), *(come(person) for person in range(12)))

        stored: dict[Any, int] = {}
        for one in await store.read_log("core", limit=10_000):
            stored[one.stream] = one.version
        assert {named.id for named, kept in told.items() if kept} == set(stored)
        assert set(stored.values()) == {3}
        assert set(told.values()) == {True, False}


async def test_the_other_log_is_asked_too(database: Database) -> None:
    cause = asked(keyed=False)
    async with opened(database, Limits(lock_timeout=20)) as store:
        async with await AsyncConnection.connect(database.dsn) as connection:
            await connection.execute(
                "SELECT pg_advisory_xact_lock(%s)", [LOCK_KEYS["runs"]]
            )
            gone = asyncio.create_task(store.save(Talk.opened(), cause=cause))
            await stuck(database)
            gone.cancel()
        told = await store.answered(cause)

        assert told is not None
        assert told.position.runs > 0
