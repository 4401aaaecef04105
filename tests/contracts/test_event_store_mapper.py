"""How events become bytes and come back, however old they are."""

from collections.abc import Mapping
from uuid import UUID

import pytest

from application.ports.refusals import UnreadableEventError
from domain.catalogue import EVENT_TYPES
from domain.kernel import Event, Json
from domain.project.events import ProjectOpened
from infrastructure.event_store.mapper import (
    BrokenUpcastersError,
    MsgspecMapper,
    UnknownTagError,
    UnreadableEvent,
    Upcaster,
)
from infrastructure.event_store.memory import MemoryEventStore
from tests.contracts.event_stores import Named, because


class Painted(Event, frozen=True, kw_only=True, tag="test.painted"):
    """It was a text at first, then had one colour, and has several now."""

    colours: tuple[str, ...]
    by: UUID


def coloured(document: dict[str, Json]) -> dict[str, Json]:
    return {**document, "colour": document.pop("paint")}


def many(document: dict[str, Json]) -> dict[str, Json]:
    return {**document, "colours": [document.pop("colour")]}


UPCASTERS: Mapping[tuple[str, int], Upcaster] = {
    ("test.painted", 1): coloured,
    ("test.painted", 2): many,
}
MAPPER = MsgspecMapper([Painted], UPCASTERS)
BY = UUID(int=3)


def test_an_event_comes_back_equal() -> None:
    painted = Painted(colours=("red", "green"), by=BY)

    tag, schema_version, state = MAPPER.encode(painted)

    assert (tag, schema_version) == ("test.painted", 3)
    assert MAPPER.decode(tag, schema_version, state) == painted


@pytest.mark.parametrize(
    ("schema_version", "state"),
    [
        (1, b'{"$tag":"test.painted","paint":"red","by":"%s"}'),
        (2, b'{"$tag":"test.painted","colour":"red","by":"%s"}'),
        (3, b'{"$tag":"test.painted","colours":["red"],"by":"%s"}'),
    ],
)
def test_every_old_shape_is_lifted_to_the_newest(
    schema_version: int, state: bytes
) -> None:
    decoded = MAPPER.decode("test.painted", schema_version, state % str(BY).encode())

    assert decoded == Painted(colours=("red",), by=BY)


def test_fields_added_by_a_newer_server_are_passed_over() -> None:
    state = b'{"$tag":"project.opened","owner":"%s","name":"x","shine":1}'

    decoded = MsgspecMapper().decode("project.opened", 1, state % str(BY).encode())

    assert decoded == ProjectOpened(owner=BY, name="x")


@pytest.mark.parametrize(("tag", "version"), [("test.gone", 1), ("test.painted", 4)])
def test_a_kind_of_event_nobody_knows_is_told_apart(tag: str, version: int) -> None:
    with pytest.raises(UnknownTagError, match=f"{tag} version {version}"):
        MAPPER.decode(tag, version, b"{}")


@pytest.mark.parametrize("state", [b"", b"{", b'{"$tag":"test.painted"}', b"\xff"])
def test_a_damaged_event_is_refused(state: bytes) -> None:
    with pytest.raises(UnreadableEventError):
        MAPPER.decode("test.painted", 3, state)


def test_upcasters_with_a_hole_stop_the_start() -> None:
    with pytest.raises(BrokenUpcastersError):
        MsgspecMapper([Painted], {("test.painted", 2): many})


def test_every_kind_of_event_can_be_stored() -> None:
    mapper = MsgspecMapper()

    assert set(mapper._tags) == set(EVENT_TYPES)
    assert len(mapper._decoders) == len(EVENT_TYPES)


async def test_an_unreadable_event_stops_its_aggregate_but_no_reader() -> None:
    store = MemoryEventStore()
    named = Named.called("a", "b")
    await store.save(named, cause=because())
    store._mapper.mapper = MAPPER

    with pytest.raises(UnknownTagError):
        await store.load(Named, named.id)
    first, second = await store.read_log("core")

    assert first.event == UnreadableEvent(
        event_tag="project.opened",
        schema_version=1,
        reason="project.opened version 1",
    )
    assert second.version == 2
