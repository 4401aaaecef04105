"""What somebody may not do, nothing does for them; and what is taken back is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from application.visits import visited
from domain.kernel import Json
from infrastructure.components.drawing import Drawing
from tests.api.conftest import PATIENCE, Person
from tests.api.endless import endless
from tests.attacks.belongings import CANARY, Belongings
from tests.attacks.flows import COMPONENTS, built, echo, saved

MIDDLE = "Prompt Template-b"


def calling(type_name: str, **fields: Json) -> dict[str, Any]:
    """Return a flow whose middle calls something else."""
    data = echo()
    [node] = [one["data"] for one in data["nodes"] if one["id"] == MIDDLE]
    node["type"] = type_name
    for name, value in fields.items():
        node["node"]["template"][name] = {"type": "str", "value": value, "show": True}
    return data


def remembering(session: str) -> dict[str, Any]:
    """Return a flow that says what was said in *session*."""
    drawing = Drawing(COMPONENTS)
    memory = drawing.place("Memory-a", "Memory", (0, 0), session_id=session)
    answer = drawing.place("ChatOutput-c", "ChatOutput", (2, 0))
    drawing.connect(memory, "messages_text", answer, "input_value")
    return dict(drawing.document())


CHAINS = {
    "run flow": ("RunFlow", "flow_name_selected", "flow"),
    "flow as tool": ("FlowTool", "flow_name", "endpoint"),
    "mcp": ("MCPTools", "mcp_server", "project"),
    "variable": ("GlobalVariable", "name", "variable"),
    "file": ("File", "path", "file"),
    "memory": ("Memory", "session_id", "session"),
}


@pytest.mark.parametrize("chain", CHAINS)
async def test_a21_a_flow_may_nothing_that_its_owner_may_not(
    hers: Belongings, ada: Person, mallory: Person, chain: str
) -> None:
    """Others' flows, variables, files, sessions, servers, named by a flow of mine."""
    type_name, name, kind = CHAINS[chain]
    target = getattr(hers, kind)
    path = f"/api/v1/runs?flow_id={hers.flow}"
    before = (await ada.get(path)).json()["total"]
    flow = await saved(mallory, calling(type_name, **{name: target}))
    tweak = {MIDDLE: {name: target, "flow_id": hers.flow}, "flow_id": hers.flow}

    told = json.dumps(await built(mallory, flow, inputs={"input_value": "go"}))
    asked = [
        await mallory.post(f"/api/v1/run/{flow}", json={"tweaks": tweak}),
        await mallory.post(f"/api/v1/run/{hers.flow}", json={"tweaks": tweak}),
        await mallory.post(f"/api/v1/run/{hers.endpoint}", json={}),
        await mallory.post("/api/v1/responses", json={"model": flow, "input": "go"}),
    ]

    assert CANARY not in told + "".join(one.text for one in asked)
    assert (await ada.get(path)).json()["total"] == before


async def test_a21_a_memory_hears_nothing_of_a_session_of_anothers(
    hers: Belongings, ada: Person, mallory: Person
) -> None:
    flow = await saved(mallory, remembering(hers.session))
    own = await saved(ada, remembering(hers.session))

    heard = json.dumps(await built(ada, own, inputs={"session": hers.session}))
    told = json.dumps(await built(mallory, flow, inputs={"session": hers.session}))

    assert CANARY in heard
    assert '"end"' in told
    assert CANARY not in told


@pytest.fixture
async def public(ada: Person) -> str:
    """A flow of Ada's that anybody may run."""
    flow = await saved(ada, echo())
    opened = await ada.patch(f"/api/v1/flows/{flow}", json={"access_type": "PUBLIC"})
    assert opened.status_code == 200
    return flow


@pytest.fixture
async def visitor(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with nothing but a cookie."""
    cookies = {"client_id": uuid4().hex}
    async with httpx.AsyncClient(
        base_url=address, cookies=cookies, timeout=PATIENCE
    ) as client:
        yield client


@pytest.mark.parametrize("how", ["closed", "deleted"])
async def test_a19_what_is_no_longer_public_is_no_longer_shown(
    application: Application,
    ada: Person,
    public: str,
    visitor: httpx.AsyncClient,
    how: str,
) -> None:
    """The stream a visitor reads ends at once, and what it was of is not there."""
    client = visitor.cookies["client_id"]
    source = UUID(public)
    run = await endless(application, ada, flow=visited(source, client), source=source)
    events = f"/api/v1/build/{run}/events"
    async with visitor.stream("GET", events) as stream:
        assert stream.status_code == 200
        if how == "closed":
            closing = {"access_type": "PRIVATE"}
            done = await ada.patch(f"/api/v1/flows/{public}", json=closing)
        else:
            done = await ada.delete(f"/api/v1/flows/{public}")
        async with asyncio.timeout(PATIENCE):
            said = await stream.aread()
    later = [
        await visitor.get(events),
        await visitor.get(events, params={"event_delivery": "polling"}),
        await visitor.post(events.replace("/events", "/cancel")),
    ]

    assert done.is_success
    assert b'"end"' not in said
    assert {one.status_code for one in later} == {404}


async def test_a19_a_role_that_is_taken_back_is_gone_at_once(
    root: Person, eve: Person
) -> None:
    """No session, no past and no log is left open to a former superuser."""
    raised = {"is_superuser": True}
    assert (await root.patch(f"/api/v1/users/{eve.id}", json=raised)).is_success
    paths = (
        "/api/v1/users/",
        "/api/v1/admin/events",
        f"/api/v1/admin/streams/{root.id}/state?version=1",
    )
    before = [(await eve.get(path)).status_code for path in paths]

    lowered = {"is_superuser": False}
    assert (await root.patch(f"/api/v1/users/{eve.id}", json=lowered)).is_success
    after = [(await eve.get(path)).status_code for path in paths]

    assert before == [200] * 3
    assert after == [403] * 3
