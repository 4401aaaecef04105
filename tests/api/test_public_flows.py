"""Public flows: strangers run them as stored, each apart from the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_DNS, UUID, uuid4, uuid5

import httpx
import pytest

from api.composition import Application
from application.departures import Departures
from application.execution.keeper import system_cause
from domain.kernel import ContentRef
from projections.runs.views import RunViews
from projections.vertex_builds.views import BuildViews
from tests.api.asking import drawn_by, talkative
from tests.api.conftest import PATIENCE, Person
from tests.api.runs_server import frames
from tests.application.lab import names
from tests.fake_openai import FakeModels


@pytest.fixture
async def flow(ada: Person, application: Application) -> str:
    """A public flow of Ada's that remembers."""
    flow_id, _ = await drawn_by(ada, talkative(application))
    answer = await ada.patch(f"/api/v1/flows/{flow_id}", json={"access_type": "PUBLIC"})
    assert answer.status_code == 200
    return flow_id


@asynccontextmanager
async def visitor(address: str, client_id: str = "") -> AsyncIterator[Any]:
    """Let somebody in who has nothing but a cookie."""
    client_id = client_id or str(uuid4())
    cookies = {"client_id": client_id}
    async with httpx.AsyncClient(
        base_url=address, cookies=cookies, timeout=PATIENCE
    ) as client:
        yield client


async def told(client: httpx.AsyncClient, flow: str, said: str, **more: Any) -> Any:
    """Say something to a public flow; return the run, and what was told of it."""
    inputs = {"input_value": said, "session": "chat"} | more.pop("inputs", {})
    answer = await client.post(
        f"/api/v1/build_public_tmp/{flow}/flow", json={"inputs": inputs, **more}
    )
    assert answer.status_code == 200, answer.text
    job = answer.json()["job_id"]
    events = await client.get(f"/api/v1/build/{job}/events")
    assert events.status_code == 200, events.text
    return job, frames(events.text)


async def test_a_stranger_runs_a_public_flow_with_a_cookie(
    ada: Person, address: str, flow: str, models: FakeModels
) -> None:
    client_id = str(uuid4())
    theirs = str(uuid5(NAMESPACE_DNS, f"{client_id}_{flow}"))
    async with visitor(address, client_id) as client:
        job, events = await told(client, flow, "good day")
        polled = await client.get(f"/api/v1/build/{job}/events?event_delivery=polling")
        direct = await client.post(
            f"/api/v1/build_public_tmp/{flow}/flow?event_delivery=direct"
        )
    run = (await ada.get(f"/api/v1/runs/{job}")).json()
    hers = await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")
    visits = await ada.get(f"/api/v1/monitor/messages?flow_id={theirs}")

    assert names(events)[0] == "vertices_sorted"
    assert names(events)[-1] == "end"
    said = [data for name, data in events if name == "add_message"]
    assert {one["flow_id"] for one in said} == {theirs}
    assert polled.status_code == 200
    assert frames(direct.text)[-1] == ("end", {})
    assert (run["trigger"], run["owner"], run["flow_id"]) == ("public", ada.id, theirs)
    assert hers.json() == []
    assert [one["text"] for one in visits.json()][:2] == ["good day", models.answer]


async def test_what_is_missing_is_said(
    ada: Person, address: str, flow: str, application: Application
) -> None:
    private, _ = await drawn_by(ada, talkative(application))
    async with httpx.AsyncClient(base_url=address) as client:
        nobody = await client.post(f"/api/v1/build_public_tmp/{flow}/flow")
    async with visitor(address) as client:
        closed = await client.post(f"/api/v1/build_public_tmp/{private}/flow")
        unknown = await client.post(f"/api/v1/build_public_tmp/{uuid4()}/flow")
        wrong = await client.post(
            f"/api/v1/build_public_tmp/{flow}/flow", json={"inputs": {"more": 1}}
        )

    assert (nobody.status_code, nobody.json()["detail"]) == (
        400,
        "No client_id cookie found",
    )
    assert closed.status_code == unknown.status_code == 403
    assert closed.json() == unknown.json() == {"detail": "Flow is not public"}
    assert wrong.status_code == 422


async def test_attack_a2_only_the_stored_flow_runs(
    ada: Person, address: str, flow: str, models: FakeModels
) -> None:
    stored = (await ada.get(f"/api/v1/flows/{flow}")).json()["data"]
    stored["nodes"][0]["data"]["node"]["template"]["code"]["value"] = "import os"
    drawn = {"nodes": stored["nodes"][:1], "edges": []}
    async with visitor(address) as client:
        _, events = await told(
            client,
            flow,
            "hi",
            data=drawn,
            files=[f"{flow}/secret.txt"],
            tweaks={"code": "import os"},
            tool_code="import os",
        )

    built = [data["build_data"]["id"] for name, data in events if name == "end_vertex"]
    said = next(data for name, data in events if name == "add_message")
    assert len(built) == len(stored["nodes"])
    assert said["files"] == []
    assert len(models.calls) == 1


async def test_attack_a12_a_visit_is_the_visitors_alone(
    ada: Person, bob: Person, address: str, flow: str, models: FakeModels
) -> None:
    async with visitor(address) as one, visitor(address) as other:
        job, _ = await told(one, flow, "secret words")
        mine, _ = await told_by_owner(ada, flow)
        anonymous = httpx.AsyncClient(base_url=address)
        refused = [
            await other.get(f"/api/v1/build/{job}/events"),
            await other.post(f"/api/v1/build/{job}/cancel"),
            await other.get(f"/api/v1/build/{mine}/events"),
            await one.get(f"/api/v1/build/{mine}/events"),
            await one.post(f"/api/v1/build/{mine}/cancel"),
            await one.get(f"/api/v1/build/{uuid4()}/events"),
            await bob.get(f"/api/v1/build/{job}/events"),
        ]
        closed = [
            await anonymous.get(f"/api/v1/build/{job}/events"),
            await one.get(f"/api/v1/runs/{job}"),
            await one.get(f"/api/v1/monitor/messages?flow_id={flow}"),
        ]
        elsewhere = await one.post(
            f"/api/v1/build/{job}/cancel", headers={"Origin": "https://evil.example"}
        )
        bobs_visit = await bob.get(
            f"/api/v1/build/{job}/events",
            headers={"Cookie": f"client_id={one.cookies['client_id']}"},
        )
        await anonymous.aclose()

    assert {answer.status_code for answer in refused} == {404}
    assert {answer.status_code for answer in closed} == {403}
    assert elsewhere.status_code == 403
    assert bobs_visit.status_code == 200


async def told_by_owner(person: Person, flow: str) -> Any:
    body = {"inputs": {"input_value": "the owner's own", "session": "chat"}}
    answer = await person.post(f"/api/v1/build/{flow}/flow", json=body)
    job = answer.json()["job_id"]
    return job, await person.get(f"/api/v1/build/{job}/events")


async def test_attack_a15_no_visitor_hears_another_nor_the_owner(
    ada: Person, address: str, flow: str, models: FakeModels
) -> None:
    await told_by_owner(ada, flow)
    async with visitor(address) as one, visitor(address) as other:
        await told(one, flow, "I am One")
        await told(other, flow, "I am Other")
        await told(one, flow, "who am I?")

    heard = [call.messages[0]["content"] for call in models.calls]
    assert "the owner's own" in heard[0]
    assert heard[1] == "Said:\nUser: I am One"
    assert heard[2] == "Said:\nUser: I am Other"
    assert "I am One" in heard[3]
    assert "Other" not in heard[3]
    assert "owner" not in heard[3]


async def test_a_visitor_stops_a_run_of_their_own(
    address: str, flow: str, models: FakeModels
) -> None:
    models.delay = 60
    async with visitor(address) as client:
        answer = await client.post(f"/api/v1/build_public_tmp/{flow}/flow")
        job = answer.json()["job_id"]
        async with asyncio.timeout(30):
            while not models.calls:
                await asyncio.sleep(0.02)
        stopped = await client.post(f"/api/v1/build/{job}/cancel")

    assert stopped.json()["success"] is True


async def test_one_key_is_one_visit(
    address: str, flow: str, models: FakeModels
) -> None:
    url, key = f"/api/v1/build_public_tmp/{flow}/flow", {"Idempotency-Key": "once"}
    body = {"inputs": {"input_value": "hi"}}
    async with visitor(address) as one, visitor(address) as other:
        first = await one.post(url, json=body, headers=key)
        again = await one.post(url, json=body, headers=key)
        wrong = await one.post(url, headers=key)
        apart = await other.post(url, json=body, headers=key)

    assert first.json() == again.json()
    assert wrong.status_code == 422
    assert apart.json() != first.json()


async def test_what_its_owner_closes_is_closed_to_visitors(
    ada: Person, address: str, flow: str, models: FakeModels
) -> None:
    async with visitor(address) as client:
        await told(client, flow, "hi")
        await ada.patch(f"/api/v1/flows/{flow}", json={"access_type": "PRIVATE"})
        closed = await client.post(f"/api/v1/build_public_tmp/{flow}/flow")

    assert closed.status_code == 403


async def test_what_a_visitor_left_is_forgotten_when_they_stay_away(
    ada: Person,
    address: str,
    application: Application,
    flow: str,
    models: FakeModels,
) -> None:
    world = application.world
    views = RunViews(world.database.engine, world.keeping)
    departures = Departures(
        world.store, over=views, messages=world.messages, contents=world.contents
    )
    client_id = str(uuid4())
    theirs = uuid5(NAMESPACE_DNS, f"{client_id}_{flow}")
    async with visitor(address, client_id) as client:
        job, _ = await told(client, flow, "words to be forgotten")
        early = datetime.now(UTC) - timedelta(hours=1)
        await departures.forget(before=early, cause=system_cause())
        held = await contents_of(application, job)
        while await departures.forget(before=datetime.now(UTC), cause=system_cause()):
            assert await application.daemon.reached(await world.store.head(), within=30)
        left = await contents_of(application, job)
        _, again = await told(client, flow, "back again")
    said = await ada.get(f"/api/v1/monitor/messages?flow_id={theirs}")
    builds = await BuildViews(world.database.engine, world.keeping).latest(theirs)

    assert any(b"words to be forgotten" in one for one in held)
    assert left == []
    assert names(again)[-1] == "end"
    assert "forgotten" not in models.calls[-1].messages[0]["content"]
    assert [one["text"] for one in said.json()] == ["back again", models.answer]
    assert len(builds) == 5
    assert (await ada.get(f"/api/v1/runs/{job}")).status_code == 404


async def contents_of(application: Application, run: str) -> list[bytes]:
    """Return all that is kept of what a run was told and came to."""
    store, contents = application.world.store, application.world.contents
    events = [one.event for one in await store.read_stream("runs", UUID(run))]
    refs = [
        held.id
        for event in events
        for field in event.__struct_fields__
        if isinstance(held := getattr(event, field), ContentRef)
    ]
    assert refs
    return list((await contents.open(refs)).values())
