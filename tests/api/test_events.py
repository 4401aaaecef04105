"""The log over the API: for superusers, in pages, and any stream as it was."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.app import create_app
from api.composition import Application
from application.ports import SYSTEM, Cause
from domain.operation.events import ProjectionSwappedBack
from domain.operation.operation import Operation
from tests.api.conftest import Person
from tests.attacks.doors import Door, doors, sound
from tests.attacks.flows import echo, saved

pytestmark = pytest.mark.server

EVENTS = "/api/v1/admin/events"


@pytest.fixture
async def flow(ada: Person) -> str:
    """A flow that was renamed twice."""
    made = await ada.post("/api/v1/flows/", json={"name": f"One {uuid4()}"})
    for name in (f"Two {uuid4()}", f"Three {uuid4()}"):
        path = f"/api/v1/flows/{made.json()['id']}"
        assert (await ada.patch(path, json={"name": name})).status_code == 200
    return str(made.json()["id"])


async def found(root: Person, **asked: Any) -> list[dict[str, Any]]:
    """Return all that is found, page by page."""
    lines: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        answer = await root.get(EVENTS, params={"after": after, "limit": 2, **asked})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["events"]) <= 2
        lines += page["events"]
        after = page["next"]
    return lines


async def test_events_are_found_by_what_is_known_of_them(
    root: Person, ada: Person, flow: str
) -> None:
    created, *renamed = await found(root, stream=flow)
    metadata = renamed[0]["metadata"]

    assert [one["tag"] for one in renamed] == ["flow.renamed"] * 2
    assert metadata["actor"] == ada.id
    assert await found(root, stream=flow, tag="flow.renamed") == renamed
    assert await found(root, stream=flow, tag="user.") == []
    assert await found(root, stream=flow, actor=ada.username) == [created, *renamed]
    assert await found(root, stream=flow, actor="system") == []
    assert await found(root, command=metadata["command_id"]) == renamed[:1]
    assert await found(root, correlation=metadata["correlation_id"]) == renamed[:1]
    assert await found(root, stream=flow, since=renamed[1]["at"]) == renamed[1:]
    assert await found(root, stream=flow, until=renamed[1]["at"], since="1h") == [
        created,
        renamed[0],
    ]
    assert await found(root, stream=flow, log="runs") == []
    assert renamed[0].keys() == {
        *("log", "position", "stream", "version", "at", "tag"),
        *("status", "data", "reason", "metadata"),
    }


async def test_a_page_that_is_not_the_last_says_where_to_go_on(
    root: Person, flow: str
) -> None:
    path = f"/api/v1/admin/streams/{flow}"
    first = (await root.get(path, params={"limit": 2})).json()
    second = (await root.get(path, params={"limit": 2, "after": first["next"]})).json()

    assert [one["version"] for one in first["events"]] == [1, 2]
    assert first["next"] == first["reached"] == first["events"][-1]["position"]
    assert [one["version"] for one in second["events"]] == [3]
    assert second["next"] is None
    assert first["log"] == "core"


async def test_a_stream_is_shown_as_it_was(root: Person, flow: str) -> None:
    path = f"/api/v1/admin/streams/{flow}/state"
    events = (await root.get(f"/api/v1/admin/streams/{flow}")).json()["events"]

    async def name(**asked: Any) -> str:
        answer = await root.get(path, params=asked)
        assert answer.json()["kind"] == "flow"
        return str(answer.json()["state"]["name"]).partition(" ")[0]

    assert await name() == await name(at="0s") == "Three"
    for one, called in zip(events, ("One", "Two", "Three"), strict=True):
        asked = {"version": one["version"]}, {"at": one["at"]}
        for as_of in asked:
            assert await name(**as_of) == called


@pytest.mark.parametrize("kind", ["user", "project", "run", "thread", "operation"])
async def test_every_kind_of_stream_has_a_state(
    root: Person, ada: Person, application: Application, kind: str
) -> None:
    log = "runs" if kind in {"run", "thread"} else "core"
    if log == "runs":
        flow = await saved(ada, echo())
        await ada.post(f"/api/v1/run/{flow}", json={"input_value": "hi"})
    if kind == "operation":
        await _operated(application)
    [first, *_] = (
        await root.get(EVENTS, params={"log": log, "tag": f"{kind}.", "limit": 500})
    ).json()["events"]

    answer = await root.get(f"/api/v1/admin/streams/{first['stream']}/state")

    assert answer.status_code == 200, answer.text
    assert answer.json()["kind"] == kind
    assert answer.json()["state"]


async def _operated(application: Application) -> None:
    """Put something on record that an operator did."""
    done = ProjectionSwappedBack(projection="flows", generation=1)
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    await application.world.store.save(Operation.of(uuid4(), done), cause=cause)


@pytest.mark.parametrize(
    "asked",
    [
        {"log": "both"},
        {"stream": "not-an-id"},
        {"tag": "renamed"},
        {"tag": "flow.renamed'; --"},
        {"tag": "f%.%"},
        {"tag": "\x00"},
        {"actor": "nobody of this name"},
        {"actor": "\x00"},
        {"correlation": "7"},
        {"command": "x" * 300},
        {"since": "yesterday"},
        {"since": "999999w"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"until": "9999-12-31T23:59:59-14:00"},
        {"until": "NaN"},
        {"after": -1},
        {"after": 2**63},
        {"after": "last"},
        {"limit": 0},
        {"limit": 501},
        {"limit": 10**40},
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(
    root: Person, asked: dict[str, Any]
) -> None:
    answer = await root.get(EVENTS, params=asked)

    assert answer.status_code == 422, answer.text
    sound(answer)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"version": 0}, 404),
        ({"version": -(10**30)}, 404),
        ({"version": 4}, 404),
        ({"version": 10**30}, 404),
        ({"version": "one"}, 422),
        ({"at": "1999-01-01"}, 404),
        ({"at": "never"}, 422),
        ({"version": 1, "at": "1h"}, 422),
    ],
    ids=str,
)
async def test_what_a_stream_never_was_is_refused(
    root: Person, flow: str, asked: dict[str, Any], status: int
) -> None:
    answer = await root.get(f"/api/v1/admin/streams/{flow}/state", params=asked)

    assert answer.status_code == status, answer.text
    sound(answer)


async def test_a_stream_that_is_not_there_is_not_found(root: Person) -> None:
    for end in ("", "/state"):
        answer = await root.get(f"/api/v1/admin/streams/{uuid4()}{end}")
        assert answer.status_code == 404
        sound(answer)


@pytest.fixture(scope="session")
async def admin_doors(application: Application) -> list[Door]:
    app = create_app(application)
    found = doors(app, app.openapi_schema.to_schema())
    return [one for one in found if one.path.startswith("/api/v1/admin/")]


async def test_nobody_but_a_superuser_gets_in(
    admin_doors: list[Door], ada: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    assert {door.path for door in admin_doors} >= {
        "/api/v1/admin/events",
        "/api/v1/admin/streams/{}",
        "/api/v1/admin/streams/{}/state",
    }
    for door in admin_doors:
        for somebody in (ada, anybody):
            path = door.to(*(flow for _ in door.names))
            answer = await somebody.request(door.method, path, json={})
            assert answer.status_code in {401, 403}, (door, answer.text)
            assert flow not in answer.text


async def test_the_description_gives_examples(application: Application) -> None:
    described = create_app(application).openapi_schema.to_schema()
    for path in ("events", "streams/{stream_id}", "streams/{stream_id}/state"):
        operation = described["paths"][f"/api/v1/admin/{path}"]["get"]
        [content] = operation["responses"]["200"]["content"].values()
        assert content["examples"], path
