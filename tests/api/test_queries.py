"""Lists cost as many statements with a thousand rows as with one, commands few more."""

from typing import Any

import pytest

from api.composition import Application
from tests.api.conftest import Join, Person, drawn
from tests.queries import counted, inside

FLOWS = 1_000
WHO_ASKS = 2
"""Statements that find out whose token this is."""

FEW = 40
"""Statements of a command about a thousand flows, which are read fifty at a time."""

HEADS = "/api/v1/flows/?get_all=true&header_flows=true"
COMPONENTS = "/api/v1/flows/?get_all=true&components_only=true"
WHOLE = "/api/v1/flows/?get_all=true"
PAGE = "/api/v1/flows/?get_all=false&size=100"


@pytest.fixture(scope="module")
async def owner(join: Join) -> Person:
    """Somebody with a thousand flows."""
    owner = await join("thousand")
    many = [
        {"name": f"Flow {n}", "data": drawn(f"ChatInput-{n}", viewport={"x": n})}
        for n in range(FLOWS)
    ]
    made = await owner.post("/api/v1/flows/batch/", json={"flows": many})
    assert made.status_code == 201, made.text
    return owner


@pytest.mark.parametrize(
    ("asked", "most"), [(HEADS, 1), (COMPONENTS, 1), (WHOLE, 2), (PAGE, 3)]
)
async def test_a_list_of_a_thousand_flows_is_asked_for_at_once(
    application: Application, owner: Person, asked: str, most: int
) -> None:
    async with inside(application, token=owner.token) as client:
        with counted() as sent:
            answer = await client.get(asked)

    assert answer.status_code == 200, answer.text
    assert len(sent) - WHO_ASKS <= most, "\n".join(sent)


async def test_a_thousand_flows_are_moved_and_deleted_in_few_statements(
    application: Application, owner: Person
) -> None:
    opened = await owner.post("/api/v1/projects/", json={"name": "Elsewhere"})
    project = opened.json()["id"]
    heads = (await owner.get("/api/v1/flows/headers")).json()
    ids = [head["id"] for head in heads]
    async with inside(application, token=owner.token) as client:
        for method, path, body in (
            ("PATCH", f"/api/v1/projects/{project}", {"flows": ids}),
            ("PATCH", f"/api/v1/mcp/project/{project}", exposing(ids[:FLOWS])),
            ("PATCH", f"/api/v1/projects/{project}", {"flows": ids[:-300]}),
            ("DELETE", "/api/v1/flows/", ids[-300:]),
            ("DELETE", f"/api/v1/projects/{project}", None),
        ):
            with counted() as sent:
                answer = await client.request(method, path, json=body)

            assert answer.is_success, (path, answer.text)
            assert len(sent) - WHO_ASKS <= FEW, (path, len(sent), sent[:60])

    assert (await owner.get("/api/v1/flows/headers")).json() == []


@pytest.mark.parametrize("vertices", [1, 400])
async def test_a_flow_costs_as_many_statements_however_large_it_is(
    application: Application, owner: Person, vertices: int
) -> None:
    names = [f"A-{n}" for n in range(vertices)]
    body = {"name": f"{vertices} vertices", "data": drawn(*names)}
    made = await owner.post("/api/v1/flows/", json=body)
    url = f"/api/v1/flows/{made.json()['id']}"
    async with inside(application, token=owner.token) as client:
        for method, change, most in (
            ("GET", None, 2),
            ("PATCH", {"data": drawn(*names[1:], "B-1")}, 4),
            ("PATCH", {"name": f"Renamed {vertices}"}, 3),
        ):
            with counted() as sent:
                answer = await client.request(method, url, json=change)

            assert answer.status_code == 200, answer.text
            assert len(sent) - WHO_ASKS <= most, "\n".join(sent)


def exposing(ids: list[str]) -> dict[str, Any]:
    return {"settings": [{"id": one, "mcp_enabled": True} for one in ids]}
