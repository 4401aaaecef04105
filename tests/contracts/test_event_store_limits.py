"""What cannot be stored is refused whole, by a name, and disturbs nobody."""

import asyncio
import math
import random
from typing import Any, override
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace
from psycopg import AsyncConnection

from application.ports import (
    Attached,
    Claim,
    ClaimTakenError,
    ConcurrencyError,
    Content,
    EventStore,
    IdempotencyKeyReusedError,
    Saved,
)
from application.ports.refusals import CommandTooLargeError, UnstorableError
from domain.flow.events import FlowCreated
from domain.kernel import Aggregate, Event
from infrastructure.event_store.command import MAX_COMMAND_EVENTS
from infrastructure.event_store.fitness import DEEPEST
from infrastructure.event_store.mapper import MsgspecMapper, UnreadableEvent
from infrastructure.event_store.writer import Limits
from infrastructure.postgres import Database
from tests.contracts.event_stores import Named, Stored, because, content
from tests.contracts.postgres_stores import held_up, opened, stuck

HALF = "half of one: \ud83d"


class Drawn(Aggregate[Event]):
    """It has a document, which may be anything."""

    @classmethod
    def with_document(cls, document: Any) -> "Drawn":
        drawn = cls(uuid4())
        drawn._record(
            FlowCreated(project=uuid4(), owner=uuid4(), name="drawn", document=document)
        )
        return drawn

    @override
    def _apply(self, event: Event) -> None:
        assert isinstance(event, FlowCreated)
        self.document = event.document


def nested(levels: int) -> Any:
    value: Any = "core"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


UNFIT = {
    "not a number": {"nodes": [{"x": math.nan}]},
    "infinite": {"nodes": [{"x": -math.inf}]},
    "too deep": {"nodes": nested(10_000)},
    "just too deep": nested(DEEPEST + 1),
    "half a character": {"nodes": [HALF]},
    "half a character in a key": {HALF: 1},
}


@pytest.mark.parametrize("document", UNFIT.values(), ids=UNFIT)
async def test_what_would_not_be_read_back_is_refused(
    stored: Stored, document: Any
) -> None:
    drawn = Drawn.with_document(document)
    good = Named.called("a")
    with pytest.raises(UnstorableError):
        await stored.store.save(good, drawn, cause=because())
    assert await stored.store.read_log("core") == []

    await stored.store.save(good, cause=because())


async def test_all_else_is_read_back_as_it_was(stored: Stored) -> None:
    document = {
        "deep": nested(DEEPEST - 1),
        "text": "NUL \0, a pair \U0001f600, the last \U0010ffff",
        "numbers": [1e308, -0.0, 2**53, 10**18],
    }
    drawn = Drawn.with_document(document)
    await stored.store.save(drawn, cause=because())

    assert (await stored.store.load(Drawn, drawn.id)).document == document


ATTACHED = {
    "NUL in a name": Attached(claims=[Claim("name", "a\0b", uuid4())]),
    "half a character in a name": Attached(claims=[Claim("name", HALF, uuid4())]),
    "NUL in what is released": Attached(released=[Claim("name", "\0", uuid4())]),
    "NUL in an address": Attached(contents=[replace(content(), address="a\0b")]),
}


@pytest.mark.parametrize("attached", ATTACHED.values(), ids=ATTACHED)
async def test_what_cannot_be_in_a_column_is_refused(
    stored: Stored, attached: Attached
) -> None:
    with pytest.raises(UnstorableError):
        await stored.store.save(Named.called("a"), cause=because(), attached=attached)
    assert await stored.store.read_log("core") == []


@pytest.mark.slow
async def test_one_command_can_be_too_large(stored: Stored) -> None:
    giant = Named.called(*(str(number) for number in range(100_000)))
    with pytest.raises(CommandTooLargeError, match=f"{MAX_COMMAND_EVENTS:,}"):
        await stored.store.save(giant, cause=because())
    assert await stored.store.read_log("core") == []


async def test_one_command_can_weigh_too_much(stored: Stored) -> None:
    heavy = [Named.called("x" * 12_000_000) for _ in range(3)]
    with pytest.raises(CommandTooLargeError, match="bytes"):
        await stored.store.save(*heavy, cause=because())
    assert await stored.store.read_log("core") == []


@pytest.mark.server
@pytest.mark.slow
async def test_a_large_command_goes_alone_and_in_its_turn(database: Database) -> None:
    async with opened(database, Limits(lock_timeout=20)) as store:
        many = [Named.called(str(number)) for number in range(20)]
        giant = Named.called(*(str(number) for number in range(20_000)))
        async with held_up(database):
            saves = [
                asyncio.create_task(store.save(one, cause=because()))
                for one in (*many[:10], giant, *many[10:])
            ]
            await stuck(database)
        saved = await asyncio.gather(*saves)

        positions = [one.position.core for one in saved]
        assert positions == sorted(positions)
        assert (await store.load(Named, giant.id)).version == 20_000


def test_an_event_too_deep_to_be_read_stops_no_reader() -> None:
    deep = b"[" * 10_000 + b"]" * 10_000
    read = MsgspecMapper().read("project.opened", 1, deep)
    assert isinstance(read, UnreadableEvent)


EACH = 8
"""How many of each kind are in the crowd."""


async def crowd(store: EventStore) -> list[tuple[type | None, Named, dict[str, Any]]]:
    """Return many commands, good and bad in their own ways, and what is bad."""
    made: list[tuple[type | None, Named, dict[str, Any]]] = []
    for number in range(EACH):
        old, claim = Named.called("old"), Claim("name", str(number), uuid4())
        key = because(key=uuid4())
        await store.save(old, cause=key, attached=Attached(claims=[claim]))
        theirs = Claim("name", str(number), uuid4())
        other = because(key=key.command_id, request=b"another")
        broken = content()
        broken = replace(broken, ref=replace(broken.ref, digest="NUL \0"))
        made += [
            (None, Named.called("good"), {}),
            (ConcurrencyError, Named.called("late", at=old.id), {}),
            (psycopg.errors.CheckViolation, Named.called("poison"), {}),
            (ClaimTakenError, Named.called("a"), {"attached": claims(theirs)}),
            (IdempotencyKeyReusedError, Named.called("b"), {"cause": other}),
            (psycopg.DataError, Named.called("c"), {"attached": contents(broken)}),
            (None, Named.called("good too"), {}),
        ]
    random.shuffle(made)
    return made


def claims(*claims: Claim) -> Attached:
    return Attached(claims=claims)


def contents(*contents: Content) -> Attached:
    return Attached(contents=contents)


@pytest.mark.server
async def test_in_a_batch_of_many_each_fails_by_itself_alone(
    database: Database,
) -> None:
    async with await AsyncConnection.connect(
        database.migration_dsn, autocommit=True
    ) as owner:
        await owner.execute(
            "ALTER TABLE es.core_events ADD CHECK (position('poison' in state) = 0)"
        )
    async with opened(database, Limits(lock_timeout=20)) as store:
        made = await crowd(store)
        before = {one.stream for one in await store.read_log("core")}
        async with held_up(database):
            first = asyncio.create_task(store.save(Named.called("1"), cause=because()))
            await stuck(database)  # the rest queues up behind it, for one batch
            saves = [
                asyncio.create_task(store.save(one, **{"cause": because(), **words}))
                for _, one, words in made
            ]
            await asyncio.sleep(0.05)
        await first
        outcomes = await asyncio.gather(*saves, return_exceptions=True)

        for (bad, _, _), outcome in zip(made, outcomes, strict=True):
            assert isinstance(outcome, bad or Saved), (bad, outcome)
        stored = {one.stream for one in await store.read_log("core")} - before
        good = {one.id for bad, one, _ in made if bad is None}
        assert stored == good | {(await store.read_log("core"))[EACH].stream}
