"""What the use cases of flows decide, over a store in memory."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from application.editing import ConflictingEditError, FlowChange
from application.flows import NewFlow
from application.permissions import NotFoundError
from application.ports import Actor
from domain.flow.flow import Flow
from domain.flow.secrets import refs
from domain.flow.shape import InvalidDocumentError
from tests.application.world import World, by, somebody


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def ada() -> Actor:
    return somebody()


def drawn(*names: str, **fields: Any) -> dict[str, Any]:
    return {
        "nodes": [
            {"id": name, "data": {"node": {"template": dict(fields)}}} for name in names
        ],
        "edges": [],
    }


def key(value: str) -> dict[str, Any]:
    return {"password": True, "value": value}


async def make(world: World, actor: Actor, name: str = "f", **fields: Any) -> Flow:
    cause = by(actor)
    home = await world.projects.home(actor, None, cause=cause)
    new = NewFlow(name=name, **fields)
    done = await world.flows.create(actor, [new], projects=[home], cause=cause)
    return done.result[0]


async def test_names_are_unique_without_a_race(world: World, ada: Actor) -> None:
    await make(world, ada, "first")

    made = await asyncio.gather(*(make(world, ada, "n") for _ in range(5)))

    assert sorted(f.name for f in made) == ["n", "n (1)", "n (2)", "n (3)", "n (4)"]


async def test_another_owner_may_use_the_same_name(world: World, ada: Actor) -> None:
    await make(world, ada, "n")

    assert (await make(world, somebody(), "n")).name == "n"


async def test_a_repeated_creation_creates_nothing(world: World, ada: Actor) -> None:
    home = await world.projects.home(ada, None, cause=by(ada))
    cause = by(ada, key=uuid4())

    first = await world.flows.create(
        ada, [NewFlow(name="n")], projects=[home], cause=cause
    )
    again = await world.flows.create(
        ada, [NewFlow(name="n")], projects=[home], cause=cause
    )

    assert again.result[0].id == first.result[0].id
    assert again.result[0].name == "n"


async def test_an_edit_of_anothers_flow_finds_nothing(world: World, ada: Actor) -> None:
    flow = await make(world, ada)

    with pytest.raises(NotFoundError):
        await world.editing.edit(
            somebody(), flow.id, FlowChange(name="x"), cause=by(ada)
        )


async def test_a_conflict_shows_no_reference_to_a_secret(
    world: World, ada: Actor
) -> None:
    flow = await make(world, ada, data=drawn("A", api_key=key("one")))
    await world.editing.edit(
        ada,
        flow.id,
        FlowChange(data=drawn("A", api_key=key("two"))),
        expected=1,
        cause=by(ada),
    )

    with pytest.raises(ConflictingEditError) as refused:
        await world.editing.edit(
            ada,
            flow.id,
            FlowChange(data=drawn("A", api_key=key("three"))),
            expected=1,
            cause=by(ada),
        )

    assert refused.value.version == 2
    assert refused.value.conflicts
    assert "$secret" not in repr(refused.value.conflicts)
    assert "three" not in repr(refused.value.conflicts)


async def test_a_replaced_secret_is_destroyed(world: World, ada: Actor) -> None:
    flow = await make(world, ada, data=drawn("A", api_key=key("one")))
    [before] = refs(flow.document)

    done = await world.editing.edit(
        ada, flow.id, FlowChange(data=drawn("A", api_key=key("two"))), cause=by(ada)
    )

    [after] = refs(done.result.document)
    assert await world.vault.open([before, after]) == {after: "two"}


async def test_a_reference_that_was_guessed_is_refused(
    world: World, ada: Actor
) -> None:
    hers = await make(world, ada, data=drawn("A", api_key=key("hers")))
    [ref] = refs(hers.document)
    bob = somebody()

    with pytest.raises(InvalidDocumentError):
        await make(
            world,
            bob,
            data=drawn("A", api_key={"password": True, "value": {"$secret": str(ref)}}),
        )


async def test_a_deleted_flow_gives_its_names_back(world: World, ada: Actor) -> None:
    flow = await make(world, ada, "n", endpoint_name="ask")

    done = await world.flows.delete(ada, [flow.id, uuid4()], cause=by(ada))

    assert done.result == 1
    again = await make(world, ada, "n", endpoint_name="ask")
    assert (again.name, again.endpoint_name) == ("n", "ask")


async def test_a_repeated_deletion_is_told_what_the_first_was(
    world: World, ada: Actor
) -> None:
    flow = await make(world, ada)
    cause = by(ada, key=uuid4())

    first = await world.flows.delete(ada, [flow.id], cause=cause)
    again = await world.flows.delete(ada, [flow.id], cause=cause)

    assert (first.result, again.result) == (1, 1)


async def test_a_flow_cannot_move_into_anothers_project(
    world: World, ada: Actor
) -> None:
    flow = await make(world, ada)
    bob = somebody()
    theirs: UUID = await world.projects.home(bob, None, cause=by(bob))

    done = await world.editing.edit(
        ada, flow.id, FlowChange(folder_id=theirs, locked=True), cause=by(ada)
    )

    assert done.result.locked
    assert done.result.project == flow.project
    assert (await world.flows.get(flow.id)).project == flow.project
