"""What the PostgreSQL writer does when things go wrong around it."""

import asyncio
from uuid import uuid4

import psycopg
import pytest
from psycopg import AsyncConnection

from application.ports import (
    Attached,
    Claim,
    OutcomeUnknownError,
    Position,
    StoreBusyError,
)
from infrastructure.event_store.listener import Listener
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import Limits
from infrastructure.postgres import Database
from tests.contracts.event_stores import (
    Letters,
    Named,
    Talk,
    because,
)
from tests.contracts.postgres_stores import held_up, opened, stuck
from tests.projections.journal import until

pytestmark = pytest.mark.server


async def writers_of(database: Database) -> list[int]:
    async with database.pool.connection() as connection:
        rows = await connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND query LIKE 'COMMIT%'"
        )
        return [pid for (pid,) in await rows.fetchall()]


async def test_a_full_queue_refuses_at_once_and_loses_nothing(
    database: Database,
) -> None:
    limits = Limits(queued_commands=10, lock_timeout=20, statement_timeout=20)
    async with opened(database, limits) as store:
        saves = []
        async with held_up(database):
            saves.append(
                asyncio.create_task(store.save(Named.called("0"), cause=because()))
            )
            await stuck(database)  # now it is under way, and the queue is empty
            saves += [
                asyncio.create_task(store.save(Named.called(str(n)), cause=because()))
                for n in range(1, 15)
            ]
            await until(lambda: sum(save.done() for save in saves) == 4)
            assert [save.done() for save in saves] == [False] * 11 + [True] * 4
        outcomes = await asyncio.gather(*saves, return_exceptions=True)

        refused = [one for one in outcomes if isinstance(one, StoreBusyError)]
        assert len(refused) == 4
        assert len(await store.read_log("core")) == 11


async def test_a_queue_is_full_by_weight_too(database: Database) -> None:
    limits = Limits(queued_bytes=10_000, lock_timeout=20, statement_timeout=20)
    async with opened(database, limits) as store:
        async with held_up(database):
            first = asyncio.create_task(store.save(Named.called("0"), cause=because()))
            await stuck(database)
            heavy = asyncio.create_task(
                store.save(Named.called("x" * 10_000), cause=because())
            )
            await asyncio.sleep(0)
            with pytest.raises(StoreBusyError):
                await store.save(Named.called("1"), cause=because())
        await asyncio.gather(first, heavy)
        await store.save(Named.called("2"), cause=because())

        assert len(await store.read_log("core")) == 3


async def test_a_log_that_stays_locked_is_busy_not_silent(database: Database) -> None:
    async with opened(database, Limits(lock_timeout=0.05)) as store:
        async with held_up(database):
            with pytest.raises(StoreBusyError):
                await store.save(Named.called("a"), cause=because())
            await store.save(Talk.opened(), cause=because())  # the other log is free
        await store.save(Named.called("b"), cause=because())

        [only] = await store.read_log("core")
        assert only.version == 1


async def test_who_stops_waiting_in_the_queue_leaves_no_trace(
    database: Database,
) -> None:
    async with opened(database) as store:
        async with held_up(database):
            first = asyncio.create_task(store.save(Named.called("a"), cause=because()))
            await stuck(database)
            gone = asyncio.create_task(
                store.save(
                    Named.called("b"),
                    cause=because(),
                    attached=Attached(claims=[Claim("name", "b", uuid4())]),
                )
            )
            last = asyncio.create_task(store.save(Named.called("c"), cause=because()))
            await asyncio.sleep(0)
            gone.cancel()
        await asyncio.gather(first, last)

        assert gone.cancelled()
        assert len(await store.read_log("core")) == 2


async def test_who_stops_waiting_during_the_commit_disturbs_nobody(
    database: Database,
) -> None:
    async with opened(database) as store:
        async with held_up(database):
            saves = [
                asyncio.create_task(store.save(Named.called(str(n)), cause=because()))
                for n in range(3)
            ]
            await stuck(database)
            saves[1].cancel()
        outcomes = await asyncio.gather(*saves, return_exceptions=True)

        assert isinstance(outcomes[1], asyncio.CancelledError)
        assert len(await store.read_log("core")) == 3  # it was on its way
        await store.save(Named.called("next"), cause=because())


async def test_an_error_of_the_server_fails_its_command_alone(
    database: Database,
) -> None:
    async with await AsyncConnection.connect(
        database.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute(
            "ALTER TABLE es.core_events ADD CHECK (position('poison' in state) = 0)"
        )
    async with opened(database) as store:
        outcomes = await asyncio.gather(
            *(
                store.save(
                    Named.called("poison" if number in {4, 5, 9} else str(number)),
                    cause=because(),
                )
                for number in range(12)
            ),
            return_exceptions=True,
        )

        for number, outcome in enumerate(outcomes):
            failed = isinstance(outcome, psycopg.errors.CheckViolation)
            assert failed == (number in {4, 5, 9})
        assert len(await store.read_log("core")) == 9


async def test_a_lost_connection_is_made_again_unnoticed(database: Database) -> None:
    async with opened(database) as store:
        named = Named.called("a")
        await store.save(named, cause=because())
        async with database.pool.connection() as connection:
            for pid in await writers_of(database):
                await connection.execute("SELECT pg_terminate_backend(%s, 1000)", [pid])

        named.call("b")
        await store.save(named, cause=because())

        assert (await store.load(Named, named.id)).names == ["a", "b"]


@pytest.mark.parametrize("kind", [Talk, Letters])
async def test_a_connection_lost_in_the_commit_stores_exactly_once(
    database: Database, kind: type[Talk]
) -> None:
    async with opened(database) as store:
        talk = kind.opened()
        await store.save(talk, cause=because())

        async def say(word: str) -> None:
            blind = kind(talk.id)
            blind.say(word)
            await store.save(anywhere=[blind], cause=because())

        async def cut() -> None:
            for _ in range(15):
                await asyncio.sleep(0.02)
                async with database.pool.connection() as connection:
                    await connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE pid <> pg_backend_pid() AND query LIKE 'COMMIT%'"
                        " AND datname = current_database()"
                    )

        async def talk_on(person: int) -> None:
            for number in range(25):
                await say(f"{person}/{number}")

        await asyncio.gather(cut(), *(talk_on(person) for person in range(8)))

        names = (await store.load(kind, talk.id)).names[1:]
        assert len(names) == len(set(names)) == 200


async def test_without_a_server_a_save_is_refused_after_a_while(
    database: Database,
) -> None:
    async with opened(database, Limits(give_up_after=0.2)) as store:
        writer = store._writers["core"]
        assert writer._connection is not None
        await writer._connection.close()
        writer._dsn = "host=/nonexistent"

        with pytest.raises(StoreBusyError):
            await store.save(Named.called("a"), cause=because())


async def test_a_commit_nobody_can_ask_about_is_not_called_refused(
    database: Database,
) -> None:
    limits = Limits(give_up_after=0.2)
    async with opened(database, limits) as store, held_up(database):
        save = asyncio.create_task(store.save(Named.called("a"), cause=because()))
        await stuck(database)
        writer = store._writers["core"]
        writer._dsn = "host=/nonexistent"
        async with database.pool.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(%s)", [writer._backend]
            )
        with pytest.raises(OutcomeUnknownError):
            await save


async def test_stopping_writes_what_was_accepted(database: Database) -> None:
    store = PostgresEventStore(database, limits=Limits(batch_commands=2))
    await store.start()
    saves = [
        asyncio.create_task(store.save(Named.called(str(n)), cause=because()))
        for n in range(9)
    ]
    await asyncio.sleep(0)
    await store.stop()
    await asyncio.gather(*saves)

    assert len(await store.read_log("core")) == 9
    with pytest.raises(StoreBusyError):
        await store.save(Named.called("late"), cause=because())


async def test_other_processes_hear_of_an_append(database: Database) -> None:
    listener = Listener(database.dsn)
    heard: list[tuple[str, Position]] = []
    ear = asyncio.Event()

    def hear(log: str, position: Position) -> None:
        heard.append((log, position))
        ear.set()

    listener.on("core", hear)
    listener.on("runs", hear)
    await listener.start()
    try:
        assert heard == [("core", Position()), ("runs", Position())]
        heard.clear()
        async with opened(database) as store:
            saved = await store.save(Named.called("a", "b"), cause=because())
            async with asyncio.timeout(30):
                while ("core", saved.position) not in heard:
                    ear.clear()
                    await ear.wait()
        assert all(log == "core" for log, _ in heard)
    finally:
        await listener.stop()


async def test_a_listener_listens_again_after_its_connection_was_lost(
    database: Database,
) -> None:
    listener = Listener(database.dsn)
    heard: asyncio.Queue[Position] = asyncio.Queue()
    listener.on("core", lambda _, position: heard.put_nowait(position))
    await listener.start()
    try:
        assert await heard.get() == Position()
        async with database.pool.connection() as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE query LIKE 'LISTEN%' AND datname = current_database()"
            )
        async with asyncio.timeout(30):
            assert await heard.get() == Position()
    finally:
        await listener.stop()


async def test_a_callback_that_fails_does_no_harm(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(database) as store:

        def fail(log: str, position: Position) -> None:
            raise ValueError(log, position)

        store.on_append.append(fail)
        await store.save(Named.called("a"), cause=because())
        await store.save(Named.called("b"), cause=because())

        assert len(await store.read_log("core")) == 2
    assert "could not take the news" in caplog.text


async def test_doubts_last_until_they_are_settled(database: Database) -> None:
    limits = Limits(lock_timeout=0.5)
    async with opened(database, limits) as store:
        async with held_up(database):
            save = asyncio.create_task(store.save(Named.called("a"), cause=because()))
            await stuck(database)
            async with database.pool.connection() as connection:
                await connection.execute(
                    "SELECT pg_terminate_backend(%s)",
                    [store._writers["core"]._backend],
                )
            with pytest.raises(OutcomeUnknownError):
                await save
        assert await store.read_log("core") == []
