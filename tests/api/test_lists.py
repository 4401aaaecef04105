"""Plain lists: in parts, none cut in silence, each part one question."""

from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.composition import Application
from projections.flows import views
from tests.api.conftest import Join, Person, drawn
from tests.attacks.flows import built, echo, saved
from tests.queries import counted, inside

WHO_ASKS = 2
"""Statements that find out whose token this is."""


@pytest.fixture(scope="module")
async def owner(join: Join) -> Person:
    """Somebody who is to have something."""
    return await join("lister")


@pytest.fixture(scope="module")
async def asking(
    application: Application, owner: Person
) -> AsyncIterator[httpx.AsyncClient]:
    """Ask for the owner, within this task."""
    async with inside(application, token=owner.token) as client:
        yield client


@pytest.fixture(scope="module")
async def own(owner: Person) -> dict[str, str]:
    """Have the owner make three of everything; return the project and the flow."""
    project = (await owner.get("/api/v1/projects/")).json()[0]["id"]
    flows = [
        await saved(owner, echo(), mcp_enabled=True, folder_id=project)
        for _ in range(3)
    ]
    for nth in range(3):
        form = {"file": (f"{nth}.txt", b"x")}
        await owner.post("/api/v2/files", files=form)
        await owner.post(f"/api/v1/files/upload/{flows[0]}", files=form)
        name = uuid4().hex
        await owner.post("/api/v1/variables/", json={"name": name, "value": "v"})
        await owner.post("/api/v1/api_key/", json={"name": name})
        await owner.post(
            f"/api/v2/mcp/servers/{name}", json={"url": "https://mcp.example.org"}
        )
        await owner.post("/api/v1/projects/", json={"name": name})
        await built(owner, flows[0], inputs={"input_value": "x", "session": name})
    return {"project": project, "flow": flows[0]}


LISTS: dict[str, Callable[[Any], list[Any]]] = {
    "/api/v1/flows/": list,
    "/api/v1/flows/?header_flows=true&remove_example_flows=true": list,
    "/api/v1/flows/headers": list,
    "/api/v1/projects/": list,
    "/api/v1/projects/{project}": lambda said: list(said["flows"]),
    "/api/v1/variables/": list,
    "/api/v1/api_key/": lambda said: list(said["api_keys"]),
    "/api/v1/files/list/{flow}": lambda said: list(said["files"]),
    "/api/v2/files": list,
    "/api/v2/mcp/servers": list,
    "/api/v1/mcp/project/{project}": lambda said: list(said["tools"]),
    "/v1/models": lambda said: list(said["data"]),
    "/api/v1/monitor/messages": list,
    "/api/v1/monitor/messages/sessions": list,
    "/api/v1/chat/{flow}/messages": list,
    "/api/v1/monitor/builds?flow_id={flow}": lambda s: list(s["vertex_builds"]),
}
"""Every list without pages of its own, and where its items are."""

STATEMENTS = {
    "/api/v1/flows/": 2,  # with what their canvas shows
    "/api/v1/projects/{project}": 3,  # the project, too
    "/api/v1/api_key/": 2,  # with their uses
    "/api/v1/files/list/{flow}": 2,  # whose flow it is
    "/api/v1/mcp/project/{project}": 3,  # whose project it is, and its access
    "/api/v1/monitor/messages": 2,  # with what they say
    "/api/v1/chat/{flow}/messages": 4,  # whose flow it is, and what of it is new
    "/api/v1/monitor/builds?flow_id={flow}": 3,
}
"""What a part of each list may ask of the database, where it is more than once."""


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_is_read_in_parts_that_lead_to_each_other(
    asking: httpx.AsyncClient, own: dict[str, str], path: str
) -> None:
    url = path.format(**own)
    more = f"{url}{'&' if '?' in url else '?'}"
    items = LISTS[path]
    whole = await asking.get(url)
    total = len(items(whole.json()))
    parts, following = [], f"{more}limit=2"
    while following:
        with counted() as sent:
            answer = await asking.get(following)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-total-count"] == str(total)
        most = WHO_ASKS + STATEMENTS.get(path, 1)
        assert len(sent) <= most, "\n".join(sent)
        parts.append(items(answer.json()))
        following = answer.links.get("next", {}).get("url", "")
    behind = await asking.get(f"{more}offset={total + 1}")

    assert total >= 3
    assert (whole.headers["x-total-count"], whole.links) == (str(total), {})
    newest_first = "/messages" in path or "builds" in path
    if newest_first and "sessions" not in path:
        parts.reverse()  # the newest are told first, each part oldest first
    assert [item for part in parts for item in part] == items(whole.json())
    assert {len(part) for part in parts} <= {1, 2}
    assert items(behind.json()) == []
    assert behind.headers["x-total-count"] == str(total)


@pytest.mark.parametrize("asked", ["limit=0", "limit=10001", "offset=-1", "limit=x"])
async def test_a_part_that_is_none_is_refused(owner: Person, asked: str) -> None:
    for path in ("/api/v2/files", "/api/v1/variables/", "/v1/models"):
        assert (await owner.get(f"{path}?{asked}")).status_code == 422


async def test_the_way_to_the_next_part_tells_no_key(
    anybody: httpx.AsyncClient, owner: Person, own: dict[str, str]
) -> None:
    assert own
    issued = await owner.post("/api/v1/api_key/", json={"name": "asks"})
    key = issued.json()["api_key"]

    answer = await anybody.get(f"/api/v2/files?limit=1&x-api-key={key}&other=a%0d%0ab")

    assert answer.status_code == 200
    assert key not in answer.headers["link"]
    assert "other=a%0D%0Ab" in answer.headers["link"]


@pytest.fixture
async def heavy(join: Join, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody whose flows are larger, together, than what is read together."""
    monkeypatch.setattr(views, "TOGETHER", 20_000)
    monkeypatch.setattr("api.v1.flow_lists.TOGETHER", 20_000)
    heavy = await join("heavy")
    given = [flow["id"] for flow in (await heavy.get("/api/v1/flows/headers")).json()]
    await heavy.request("DELETE", "/api/v1/flows/", json=given)
    many = [
        {"name": f"F{n}", "data": drawn(f"A-{n}", extra="x" * size)}
        for n, size in enumerate((6_000, 6_000, 40_000, 100, 15_000, 6_000))
    ]
    made = await heavy.post("/api/v1/flows/batch/", json={"flows": many})
    assert made.status_code == 201, made.text
    return heavy


async def test_large_flows_are_listed_in_parts_and_read_as_one(heavy: Person) -> None:
    project = (await heavy.get("/api/v1/projects/")).json()[0]["id"]
    each = [
        (await heavy.get(f"/api/v1/flows/{flow['id']}")).json()
        for flow in (await heavy.get("/api/v1/flows/headers")).json()
    ]

    whole = await heavy.get("/api/v1/flows/")
    plain = await heavy.get("/api/v1/flows/", headers={"Accept-Encoding": "identity"})
    inner = (await heavy.get(f"/api/v1/projects/{project}")).json()
    paged = (await heavy.get(f"/api/v1/projects/{project}?page=1&size=4")).json()
    page = (await heavy.get("/api/v1/flows/?get_all=false&page=2&size=4")).json()
    none = (await heavy.get("/api/v1/flows/?get_all=false&page=9&size=4")).json()

    assert whole.headers["content-encoding"] == "gzip"
    assert "content-length" not in whole.headers
    assert "content-encoding" not in plain.headers
    assert whole.json() == plain.json() == inner.pop("flows") == each
    assert inner["id"] == project
    assert [flow["name"] for flow in each] == [f"F{n}" for n in range(6)]
    assert paged["folder"]["id"] == project
    found = paged["flows"].pop("items") + page.pop("items")
    assert sorted(found, key=lambda flow: flow["name"]) == each
    assert paged["flows"] == {"total": 6, "page": 1, "size": 4, "pages": 2}
    assert page == {"total": 6, "page": 2, "size": 4, "pages": 2}
    assert (none["items"], none["total"]) == ([], 6)
