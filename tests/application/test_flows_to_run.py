"""A flow that runs is the one in its stream, whole, however often it was asked for."""

from uuid import uuid4

import pytest

from application.execution.flows import StoredFlows
from application.permissions import Permissions
from application.ports import Actor, Attached, Owned
from application.ports.refusals import StreamNotFoundError, UnreadableEventError
from domain.catalogue import EVENT_TYPES
from domain.flow.events import FlowRenamed
from domain.flow.flow import Flow
from infrastructure.event_store.mapper import MsgspecMapper
from infrastructure.event_store.memory import MemoryEventStore
from infrastructure.event_store.sealing import SealingMapper
from tests.contracts.event_stores import because

ADA = Actor(user=uuid4())


@pytest.fixture
def store() -> MemoryEventStore:
    return MemoryEventStore()


@pytest.fixture
def flows(store: MemoryEventStore) -> StoredFlows:
    return StoredFlows(store, Permissions(store.ownership), store.claims)


@pytest.fixture
async def flow(store: MemoryEventStore) -> Flow:
    assert ADA.user
    flow = Flow.create(uuid4(), owner=ADA.user, project=uuid4(), name="One")
    owned = Owned(flow.id, "flow", ADA.user)
    await store.save(flow, cause=because(), attached=Attached(owned=[owned]))
    return flow


async def renamed(store: MemoryEventStore, flow: Flow, name: str) -> None:
    flow.rename(name)
    await store.save(flow, cause=because())


async def test_a_flow_is_brought_up_to_date(
    store: MemoryEventStore, flows: StoredFlows, flow: Flow
) -> None:
    before = await flows.head(ADA, flow.id)
    for number in range(3):
        await renamed(store, flow, f"Two {number}")

    after = await flows.head(ADA, flow.id)

    assert (before.name, before.version) == ("One", 1)
    assert (after.name, after.version) == ("Two 2", 4)


async def test_an_event_that_cannot_be_read_is_not_passed_over(
    store: MemoryEventStore, flows: StoredFlows, flow: Flow
) -> None:
    await flows.head(ADA, flow.id)
    await renamed(store, flow, "Two")
    known = [kind for kind in EVENT_TYPES if kind is not FlowRenamed]
    today = store._mapper
    store._mapper = SealingMapper(MsgspecMapper(known), store.keys)

    for _ in range(2):
        with pytest.raises(UnreadableEventError):
            await flows.head(ADA, flow.id)

    store._mapper = today
    assert (await flows.head(ADA, flow.id)).name == "Two"


async def test_a_flow_of_somebody_erased_is_not_run(
    store: MemoryEventStore, flows: StoredFlows, flow: Flow
) -> None:
    assert ADA.user
    await flows.head(ADA, flow.id)
    await renamed(store, flow, "Two")

    store.keys.destroy(ADA.user)

    with pytest.raises(StreamNotFoundError):
        await flows.head(ADA, flow.id)
