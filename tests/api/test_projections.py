"""Looking after read tables over HTTP: rebuilt, swapped back, retried, recorded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from api.composition import Application
from application.ports import Recorded
from domain.kernel import Event
from domain.operation.events import (
    DeadLetterRetried,
    DeadLetterSkipped,
    ProjectionRebuilt,
    ProjectionSwappedBack,
    RebuildCancelled,
)
from projections.pulse import Pulse
from tests.api.conftest import Person
from tests.projections.journal import until

ADMIN = "/api/v1/admin/projections"


async def deeds(application: Application, after: int) -> list[Recorded]:
    page = await application.world.store.read_log("core", after=after)
    kinds = (
        *(ProjectionRebuilt, ProjectionSwappedBack),
        *(DeadLetterRetried, DeadLetterSkipped, RebuildCancelled),
    )
    return [one for one in page if isinstance(one.event, kinds)]


async def done(application: Application, after: int) -> Event:
    """Wait for what an operator did to be on record."""
    async with asyncio.timeout(30):
        while not (found := await deeds(application, after)):
            await asyncio.sleep(0.02)
    [recorded] = found
    assert recorded.metadata["actor"] is not None
    return recorded.event


async def head(application: Application) -> int:
    return (await application.world.store.head()).core


async def live(root: Person, name: str) -> dict[str, Any]:
    rows = (await root.get(f"{ADMIN}/{name}")).json()["projections"]
    found: dict[str, Any] = next(row for row in rows if row["state"] == "live")
    return found


@asynccontextmanager
async def disliked(
    application: Application, name: str, *, constraint: str = "disliked"
) -> AsyncIterator[None]:
    """Let the table of projects refuse a name, and take it again afterwards."""
    async with application.world.database.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT version FROM es.projections WHERE name = 'projects' AND active"
        )
        row = await cursor.fetchone()
        assert row is not None
        table = f"rm_projects_v{row[0]}.projects"
        await connection.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {constraint} CHECK (name <> '{name}')"
        )
        try:
            yield
        finally:
            await connection.execute(
                f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"
            )


async def parked(root: Person, ada: Person, name: str) -> dict[str, Any]:
    """Make a project of a name that is disliked, describe it, and return its letter."""
    made = (await ada.post("/api/v1/projects/", json={"name": name})).json()
    stream = made["id"]
    await ada.patch(f"/api/v1/projects/{stream}", json={"description": "later"})
    async with asyncio.timeout(30):
        while True:
            page = (await root.get(f"{ADMIN}/dead-letters")).json()
            for letter in page["dead_letters"]:
                if letter["stream"] == stream and letter["waiting"]:
                    found: dict[str, Any] = letter
                    return found
            await asyncio.sleep(0.02)


async def test_every_projection_tells_how_it_stands(root: Person) -> None:
    rows = (await root.get(f"{ADMIN}/")).json()["projections"]

    assert {"users", "flows", "runs"} <= {row["name"] for row in rows}
    assert {row["health"] for row in rows if row["state"] == "live"} <= {
        "level",
        "lagging",
    }
    assert all(":" in row["leader"] for row in rows if row["state"] == "live")


async def test_a_rebuild_and_its_undoing_are_put_on_record(
    root: Person, application: Application
) -> None:
    before, place = await live(root, "variables"), await head(application)
    nothing = await root.post(f"{ADMIN}/variables/swap-back")
    assert nothing.status_code == 409
    assert "generation" in nothing.json()["detail"]

    began = await root.post(f"{ADMIN}/variables/rebuild")

    assert began.status_code == 202
    event = await done(application, place)
    assert isinstance(event, ProjectionRebuilt)
    assert (event.projection, event.generation) == (
        "variables",
        before["generation"] + 1,
    )
    assert (await live(root, "variables"))["generation"] == event.generation
    await until(lambda: not application.world.upkeep._tasks)

    place = await head(application)
    back = await root.post(f"{ADMIN}/variables/swap-back")

    assert back.status_code == 202
    swapped = await done(application, place)
    assert isinstance(swapped, ProjectionSwappedBack)
    assert (await live(root, "variables"))["generation"] == before["generation"]


async def test_only_one_rebuild_of_a_projection_runs(
    root: Person, application: Application
) -> None:
    place = await head(application)
    began, again = (
        await root.post(f"{ADMIN}/api_keys/rebuild"),
        await root.post(f"{ADMIN}/api_keys/rebuild"),
    )
    assert began.status_code == 202
    assert again.status_code in {202, 409}  # the first may be done by then
    await until(lambda: not application.world.upkeep._tasks)
    made = await deeds(application, place)
    assert len(made) == 1 + (again.status_code == 202)
    idle = await root.post(f"{ADMIN}/api_keys/cancel")
    assert (idle.status_code, "not being rebuilt" in idle.text) == (409, True)


async def test_a_parked_event_is_shown_and_taken_in(
    root: Person, ada: Person, application: Application
) -> None:
    async with disliked(application, "disliked"):
        letter = await parked(root, ada, "disliked")
        path = f"{ADMIN}/projects/dead-letters/core/{letter['position']}"
        shown = (await root.get(path)).json()
        again = await root.post(f"{path}/retry")

    assert shown["event"]["data"]["name"] == "disliked"
    assert letter["reason"].startswith("CheckViolation")
    assert again.status_code == 409
    assert (await live(root, "projects"))["dead_letters"] == 1
    place = await head(application)

    retried = await root.post(f"{path}/retry")

    assert retried.json() == {"taken": 2, "stuck": None, "reason": None}
    event = await done(application, place)
    assert isinstance(event, DeadLetterRetried)
    assert event.position == letter["position"]
    mine = (await ada.get("/api/v1/projects/")).json()
    assert ("disliked", "later") in {
        (project["name"], project["description"]) for project in mine
    }
    gone = await root.post(f"{path}/retry")
    assert gone.status_code == 404


async def test_a_skipped_event_is_gone_on_without(
    root: Person, ada: Person, application: Application
) -> None:
    async with disliked(application, "unwanted"):
        letter = await parked(root, ada, "unwanted")
        path = f"{ADMIN}/projects/dead-letters/core/{letter['position']}"
        unfounded = await root.post(f"{path}/skip", json={"reason": ""})
        place = await head(application)
        skipped = await root.post(f"{path}/skip", json={"reason": "A test\0."})

    assert unfounded.status_code == 422
    assert skipped.json()["stuck"] is None
    event = await done(application, place)
    assert isinstance(event, DeadLetterSkipped)
    assert event.reason == "A test\0."
    assert (await live(root, "projects"))["dead_letters"] == 0


def keyed() -> dict[str, str]:
    return {"Idempotency-Key": str(uuid4())}


@pytest.mark.parametrize("deed", ["rebuild", "swap-back"])
async def test_what_is_asked_for_twice_with_one_key_is_begun_once(
    root: Person, application: Application, deed: str
) -> None:
    upkeep, key = application.world.upkeep, keyed()
    await root.post(f"{ADMIN}/variables/rebuild")
    await until(lambda: not upkeep._tasks)
    place = await head(application)

    first, meanwhile = await asyncio.gather(
        *(root.post(f"{ADMIN}/variables/{deed}", headers=key) for _ in range(2))
    )
    await until(lambda: not upkeep._tasks)
    later = await root.post(f"{ADMIN}/variables/{deed}", headers=key)
    elsewhere = await root.post(f"{ADMIN}/users/{deed}", headers=key)

    assert (first.status_code, elsewhere.status_code) == (202, 422)
    assert first.json() == meanwhile.json() == later.json()
    assert not upkeep._tasks
    [recorded] = await deeds(application, place)
    assert str(recorded.stream) == first.json()["operation"]


async def test_what_was_refused_is_not_remembered_for_its_key(
    root: Person, application: Application
) -> None:
    upkeep, key = application.world.upkeep, keyed()
    async with upkeep._turn, upkeep._turn:
        began = await root.post(f"{ADMIN}/messages/rebuild")
        refused = await root.post(f"{ADMIN}/messages/rebuild", headers=key)
    await until(lambda: not upkeep._tasks)
    accepted = await root.post(f"{ADMIN}/messages/rebuild", headers=key)
    await until(lambda: not upkeep._tasks)

    assert (began.status_code, refused.status_code) == (202, 409)
    assert accepted.status_code == 202
    assert accepted.json()["operation"] != began.json()["operation"]


async def test_who_stopped_a_rebuild_is_put_on_record_once(
    root: Person, application: Application
) -> None:
    upkeep, key = application.world.upkeep, keyed()
    place = await head(application)
    async with upkeep._turn, upkeep._turn:
        await root.post(f"{ADMIN}/messages/rebuild")
        stopped = await root.post(f"{ADMIN}/messages/cancel", headers=key)
        again = await root.post(f"{ADMIN}/messages/cancel", headers=key)
        await until(lambda: not upkeep._tasks)
        idle = await root.post(f"{ADMIN}/messages/cancel", headers=keyed())

    assert (stopped.status_code, idle.status_code) == (200, 409)
    assert (again.status_code, again.json()) == (200, stopped.json())
    assert await done(application, place) == RebuildCancelled(projection="messages")


@pytest.mark.parametrize("deed", ["retry", "skip"])
async def test_a_repeat_about_a_parked_event_is_answered_as_the_first_was(
    root: Person, ada: Person, application: Application, deed: str
) -> None:
    key, body = keyed(), {"reason": "A test."} if deed == "skip" else None
    async with disliked(application, f"twice {deed}"):
        letter = await parked(root, ada, f"twice {deed}")
        path = f"{ADMIN}/projects/dead-letters/core/{letter['position']}/{deed}"
        poison = await root.post(path, headers=key) if deed == "retry" else None
    place = await head(application)

    first, meanwhile = await asyncio.gather(
        *(root.post(path, headers=key, json=body) for _ in range(2))
    )
    again = await root.post(path, headers=key, json=body)
    other = await root.post(path, headers=key, json={"reason": "Another."})

    assert poison is None or poison.status_code == 409
    assert first.json()["taken"] == 2 - (deed == "skip")
    assert first.json() == meanwhile.json() == again.json()
    assert (first.status_code, again.status_code, other.status_code) == (200, 200, 422)
    assert len(await deeds(application, place)) == 1
    assert (await live(root, "projects"))["dead_letters"] == 0


async def test_parked_events_are_retried_one_after_the_other(
    root: Person, ada: Person, application: Application
) -> None:
    path, key = f"{ADMIN}/dead-letters/retry", keyed()
    async with disliked(application, "worse"):
        bad = await parked(root, ada, "worse")
        async with disliked(application, "bad", constraint="too"):
            good = await parked(root, ada, "bad")
        place = await head(application)
        would = await root.post(path, json={"projection": "projects", "dry_run": True})
        assert await head(application) == place
        first = await root.post(path, json={"limit": 1})
        body = {"projection": "projects"}
        both, again = await asyncio.gather(
            *(root.post(path, headers=key, json=body) for _ in range(2))
        )
        other = await root.post(path, headers=key, json={"limit": 1})
    rest = await root.post(path, json={})

    names = [f"projects/core/{one['position']}" for one in (bad, good)]
    assert [one["position"] for one in would.json()["dead_letters"]] == [
        bad["position"],
        good["position"],
    ]
    assert first.json()["next"] == names[0]
    assert [one["letter"] for one in both.json()["retried"]] == names
    stuck, taken = (one["outcome"] for one in both.json()["retried"])
    assert stuck["stuck"] == bad["position"]
    assert stuck["reason"].startswith("CheckViolation")
    assert taken == {"taken": 2, "stuck": None, "reason": None}
    assert (again.json(), other.status_code) == (both.json(), 422)
    assert [one["letter"] for one in rest.json()["retried"]] == names[:1]
    assert len(await deeds(application, place)) == 2
    assert (await live(root, "projects"))["dead_letters"] == 0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"limit": 0}, 422),
        ({"limit": 101}, 422),
        ({"dry_run": "perhaps"}, 422),
        ({"all": True}, 422),
        ({"projection": "nothing"}, 404),
        ({"after": "users"}, 404),
        ({"projection": "nothing", "dry_run": True}, 404),
    ],
)
async def test_nothing_is_retried_on_a_request_that_makes_no_sense(
    root: Person, application: Application, body: dict[str, Any], status: int
) -> None:
    place = await head(application)
    answer = await root.post(f"{ADMIN}/dead-letters/retry", json=body)

    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}
    assert await head(application) == place


async def test_a_server_that_should_get_no_requests_says_so(
    anybody: httpx.AsyncClient,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away() -> None:
        raise psycopg.OperationalError("no route to the database")

    with monkeypatch.context() as lagging:
        lagging.setattr(Pulse, "worst", "lagging")
        assert (await anybody.get("/readyz")).status_code == 200
    with monkeypatch.context() as stuck:
        stuck.setattr(Pulse, "worst", "stuck")
        answer = await anybody.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["projections"] == "stuck"
    with monkeypatch.context() as gone:
        gone.setattr(application.world.store, "head", away)
        answer = await anybody.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["database"] == "away"
        assert "route" not in answer.text
        assert (await anybody.get("/livez")).status_code == 200
    assert (await anybody.get("/readyz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", "/nothing/rebuild", 404),
        ("POST", "/nothing%00/swap-back", 404),
        ("POST", "/nothing/cancel", 404),
        ("GET", "/dead-letters?projection=nothing", 404),
        ("GET", "/dead-letters?after=x%00/core/1", 404),
        ("GET", "/dead-letters?after=users", 404),
        ("GET", "/dead-letters?limit=0", 422),
        ("GET", "/dead-letters?limit=501", 422),
        ("GET", "/users/dead-letters/core/99999999999999999999", 404),
        ("GET", "/users/dead-letters/elsewhere/1", 404),
        ("POST", "/users/dead-letters/core/1/retry", 404),
        ("POST", "/users%00/dead-letters/core/1/retry", 404),
    ],
)
async def test_what_is_not_there_is_refused_in_words(
    root: Person, application: Application, method: str, path: str, status: int
) -> None:
    place = await head(application)
    answer = await root.request(method, f"{ADMIN}{path}")

    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}
    assert await head(application) == place
