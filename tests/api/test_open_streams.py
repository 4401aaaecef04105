"""A stream ends when what opened it is taken back, and not before."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from application.ports import SYSTEM, Cause
from domain.run.run import Run
from tests.api.conftest import PATIENCE, Join, Person
from tests.api.endless import endless

WHOAMI = "/api/v1/users/whoami"
SSE = "/api/v1/runs/{}/events"
LINES = "/api/v1/build/{}/events"

type Act = Callable[[Person, Person], Awaitable[Any]]


@pytest.fixture(scope="module")
async def eve(join: Join) -> Person:
    """Whose streams these are."""
    return await join("eve")


@pytest.fixture
async def run(application: Application, eve: Person) -> UUID:
    """A run of Eve's of which nothing more is heard."""
    return await endless(application, eve)


class Reader:
    """Somebody who reads a stream until it ends."""

    def __init__(self, answer: httpx.Response) -> None:
        self._reading = asyncio.create_task(answer.aread())

    async def ended(self) -> bytes:
        return await asyncio.wait_for(self._reading, 30)

    async def goes_on(self) -> bool:
        done, _ = await asyncio.wait({self._reading}, timeout=0.3)
        return not done

    async def leave(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def reading(
    person: Person, path: str, headers: dict[str, str]
) -> AsyncIterator[Reader]:
    async with (
        httpx.AsyncClient(base_url=person.base_url, timeout=PATIENCE) as client,
        client.stream("GET", path, headers=headers) as answer,
    ):
        assert answer.status_code == 200, await answer.aread()
        reader = Reader(answer)
        yield reader
        await reader.leave()


@pytest.fixture
async def mine(application: Application, eve: Person) -> AsyncIterator[Person]:
    """Eve, in a session of its own."""
    entered = await application.world.sessions.sign_in_unasked(UUID(eve.id))
    person = Person(base_url=eve.base_url, timeout=PATIENCE)
    person.id, person.username, person.token = eve.id, eve.username, ""
    person.headers["Authorization"] = f"Bearer {entered.access_token}"
    yield person
    await person.aclose()


def bearing(person: Person) -> dict[str, str]:
    return {"Authorization": person.headers["Authorization"]}


async def sign_out(mine: Person, _: Person) -> None:
    assert (await mine.post("/api/v1/logout")).status_code == 200


async def change_the_password(mine: Person, _: Person) -> None:
    path = f"/api/v1/users/{mine.id}/reset-password"
    new = {"password": f"new {uuid4()}"}
    assert (await mine.patch(path, json=new)).status_code == 200


async def be_deactivated(mine: Person, root: Person) -> None:
    path = f"/api/v1/users/{mine.id}"
    assert (await root.patch(path, json={"is_active": False})).status_code == 200
    assert (await root.patch(path, json={"is_active": True})).status_code == 200


@pytest.mark.parametrize("act", [sign_out, change_the_password, be_deactivated])
async def test_a19_a_stream_ends_with_its_session(
    mine: Person, root: Person, run: UUID, act: Act
) -> None:
    async with reading(mine, LINES.format(run), bearing(mine)) as reader:
        assert await reader.goes_on()

        await act(mine, root)

        assert b'"end"' not in await reader.ended()
    assert (await mine.get(WHOAMI)).status_code == 401


async def test_a_refresh_token_that_comes_late_ends_the_streams_of_its_session(
    application: Application, mine: Person, run: UUID
) -> None:
    sessions = application.world.sessions
    entered = await sessions.sign_in_by_link(
        await sessions.link_for(UUID(mine.id), ttl=timedelta(minutes=1))
    )
    headers = {"Authorization": f"Bearer {entered.access_token}"}
    cookie = {"Cookie": f"refresh_token_lf={entered.refresh_token}"}
    async with reading(mine, SSE.format(run), headers) as reader:
        followed = await mine.post("/api/v1/refresh", headers=cookie)
        mine.cookies.clear()
        following = {"Cookie": f"refresh_token_lf={followed.json()['refresh_token']}"}
        renewed = await mine.post("/api/v1/refresh", headers=following)
        mine.cookies.clear()
        assert renewed.status_code == followed.status_code == 200
        assert await reader.goes_on()

        assert (await mine.post("/api/v1/refresh", headers=cookie)).status_code == 401

        await reader.ended()


@pytest.mark.parametrize("how", ["revoked", "disabled", "expired"])
async def test_a19_a_stream_ends_with_its_key(
    mine: Person, run: UUID, how: str
) -> None:
    body = {}
    if how == "expired":
        soon = datetime.now(UTC) + timedelta(seconds=2)
        body["expires_at"] = soon.isoformat()
    key = (await mine.post("/api/v1/api_key/", json=body)).json()
    other = (await mine.post("/api/v1/api_key/", json={})).json()
    path = SSE.format(run)
    async with (
        reading(mine, path, {"x-api-key": key["api_key"]}) as reader,
        reading(mine, path, {"x-api-key": other["api_key"]}) as spared,
        reading(mine, path, bearing(mine)) as spared_too,
    ):
        if how == "revoked":
            await mine.delete(f"/api/v1/api_key/{key['id']}")
        elif how == "disabled":
            await mine.patch(f"/api/v1/api_key/{key['id']}", json={"is_active": False})

        assert b"run.failed" not in await reader.ended()

        assert await spared.goes_on()
        assert await spared_too.goes_on()


async def test_another_password_leaves_the_streams_of_keys_alone(
    mine: Person, root: Person, run: UUID
) -> None:
    key = (await mine.post("/api/v1/api_key/", json={})).json()["api_key"]
    async with reading(mine, SSE.format(run), {"x-api-key": key}) as reader:
        await change_the_password(mine, root)

        assert await reader.goes_on()


async def test_a_stream_that_ends_by_itself_is_whole(
    application: Application, mine: Person, run: UUID
) -> None:
    async with reading(mine, SSE.format(run), bearing(mine)) as reader:
        requested = await application.world.store.load(Run, run)
        requested.cancel()
        cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
        await application.world.store.save(requested, cause=cause)

        assert b"run.cancelled" in await reader.ended()


async def test_nothing_is_kept_of_what_was_answered(
    application: Application, mine: Person
) -> None:
    await asyncio.gather(*(mine.get(WHOAMI) for _ in range(20)))

    async with asyncio.timeout(30):
        while application.open_streams.count:
            await asyncio.sleep(0.01)
