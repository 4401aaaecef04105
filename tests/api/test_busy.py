"""A server that cannot reach its database says so, and when to come back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from psycopg import AsyncConnection

from api.composition import Application
from infrastructure import patience
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.event_store.writer import Limits
from tests.api.conftest import Person
from tests.contracts.postgres_stores import held_up

pytestmark = pytest.mark.server


@contextmanager
def limited(application: Application, limits: Limits) -> Iterator[None]:
    store = application.world.store
    assert isinstance(store, PostgresEventStore)
    writer = store._writers["core"]
    before, writer._limits = writer._limits, limits
    try:
        yield
    finally:
        writer._limits = before


async def test_a_full_queue_is_a_503_and_its_time_to_come_back(
    application: Application, ada: Person
) -> None:
    flows = [
        (await ada.post("/api/v1/flows/", json={"name": f"flow {n}"})).json()["id"]
        for n in range(8)
    ]
    with limited(application, Limits(queued_commands=2)):
        async with held_up(application.world.database):
            asking = [
                asyncio.create_task(
                    ada.patch(f"/api/v1/flows/{flow}", json={"description": "new"})
                )
                for flow in flows
            ]
            done, _ = await asyncio.wait(
                asking, timeout=10, return_when=asyncio.FIRST_COMPLETED
            )
            assert done
        answers = await asyncio.gather(*asking)

    for flow, answer in zip(flows, answers, strict=True):
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) > 0
            assert "try again" in answer.json()["detail"]
        else:
            assert answer.status_code == 200, answer.text
        now = (await ada.get(f"/api/v1/flows/{flow}")).json()["description"]
        assert (now == "new") == (answer.status_code == 200)
    assert {answer.status_code for answer in answers} == {200, 503}


@asynccontextmanager
async def locked(application: Application, table: str) -> AsyncIterator[None]:
    """Have nobody else even read *table*."""
    async with await AsyncConnection.connect(
        application.world.database.migration_dsn
    ) as owner:
        await owner.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


async def test_a_database_that_does_not_answer_is_a_503_in_time(
    application: Application, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = (await ada.post("/api/v1/flows/", json={"name": "kept"})).json()
    monkeypatch.setattr(patience.PatientConnection, "longest_wait", 0.3)
    async with locked(application, "es.ownership"):
        answer = await ada.patch(
            f"/api/v1/flows/{flow['id']}", json={"description": "new"}
        )

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["detail"].startswith("The database does not answer")
    assert (await ada.get(f"/api/v1/flows/{flow['id']}")).status_code == 200
