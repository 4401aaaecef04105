"""Several streams loaded together: each as if alone, and all with few questions."""

from uuid import uuid4

import pytest

from application.ports import Claim, StreamNotFoundError
from domain.flow.flow import Flow
from infrastructure.event_store import store as event_store
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from tests.contracts import test_snapshots
from tests.contracts.event_stores import Named, Stored, because
from tests.contracts.test_event_store_attached import attach
from tests.contracts.test_snapshots import change, keys, known, store, whole
from tests.queries import counted

__all__ = ["keys", "store", "whole"]


async def test_streams_are_loaded_together_each_once_and_in_order(
    stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_store, "AT_ONCE", 2)
    monkeypatch.setattr(event_store, "PAGE", 2)
    named = [Named.called(*(f"{n}.{i}" for i in range(n + 1))) for n in range(5)]
    await stored.store.save(*named, cause=because())
    ids = [one.id for one in reversed(named)]

    found = await stored.store.load_each(Named, [*ids, ids[0]])

    assert [one.id for one in found] == ids
    assert [one.names for one in found] == [one.names for one in reversed(named)]
    assert [one.version for one in found] == [5, 4, 3, 2, 1]
    assert await stored.store.load_each(Named, []) == []


async def test_of_streams_loaded_together_none_may_be_missing(stored: Stored) -> None:
    named, missing = Named.called("a"), uuid4()
    await stored.store.save(named, cause=because())

    with pytest.raises(StreamNotFoundError, match=str(missing)):
        await stored.store.load_each(Named, [named.id, missing])


async def test_what_was_loaded_together_is_saved_like_any_other(
    stored: Stored,
) -> None:
    named = [Named.called("a"), Named.called("b")]
    await stored.store.save(*named, cause=because())

    loaded = await stored.store.load_each(Named, [one.id for one in named])
    for one in loaded:
        one.call("more")
    await stored.store.save(*loaded, cause=because())

    again = await stored.store.load_each(Named, [one.id for one in named])
    assert [one.names for one in again] == [["a", "more"], ["b", "more"]]


@pytest.mark.parametrize(
    "harm", ["", "SET state = state || '\\x00'", "SET topic = 'other'"]
)
async def test_streams_loaded_together_go_on_from_their_snapshots(
    store: PostgresEventStore, whole: PostgresEventStore, database: Database, harm: str
) -> None:
    flows = [await test_snapshots.stored(store, 5) for _ in range(3)]
    for flow in flows[:2]:
        await store._snapshots.take(Flow, flow)
    [first, _, last] = await store.load_each(Flow, flows)
    for renamed in (first, last):
        renamed.rename("after it")
    await store.save(first, last, cause=because())
    if harm:
        where = "WHERE originator_id = %(one)s"
        await change(database, f"{harm} {where}", one=flows[0])

    with counted() as sent:
        found = await store.load_each(Flow, flows)

    assert [known(one) for one in found] == [
        known(await whole.load(Flow, flow)) for flow in flows
    ]
    assert [one.version for one in found] == [6, 5, 6]
    assert len(sent) <= (1 if "state" not in harm else 3)


async def test_it_is_told_which_beginnings_any_name_has(stored: Stored) -> None:
    for key in ("a/x", "a/y", "b/x", "c"):
        await attach(stored, claims=[Claim("name", key, uuid4())])
    await attach(stored, claims=[Claim("other", "d/x", uuid4())])

    found = await stored.claims.any_of("name", ["a/", "b/", "c/", "d/", "\0", "e%"])

    assert sorted(found) == ["a/", "b/"]
    assert await stored.claims.any_of("name", []) == []
