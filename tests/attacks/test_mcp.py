"""A50: tools without a credential, of another, from a foreign page, and left alone."""

import asyncio
import base64
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
from mcp import ClientSession
from mcp.client.sse import sse_client

from api.composition import Application
from tests.api.conftest import Join, Person
from tests.api.mcp_clients import (
    Talk,
    bearing,
    let_in,
    over_http,
    over_sse,
    project_of,
    texts,
    tool_in,
)
from tests.attacks.flows import asking, field
from tests.fake_openai import FakeModels

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
SPEAKS = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(params=[over_sse, over_http], ids=["sse", "streamable"])
def talk(request: pytest.FixtureRequest) -> Talk:
    """Either transport."""
    found: Talk = request.param
    return found


@pytest.fixture
async def project(ada: Person) -> str:
    """A project of Ada's with a tool in it."""
    project = await project_of(ada)
    await tool_in(ada, project, action_name="say")
    return project


async def ping(client: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    """Ask for a sign of life over streamable HTTP."""
    url = f"/api/v1/mcp{path}/streamable"
    return await client.post(url, json=PING, headers=SPEAKS | headers)


def basic(name: str, password: str) -> dict[str, str]:
    said = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {said}"}


async def test_a50_nobody_lists_or_calls_without_a_credential(
    anybody: httpx.AsyncClient, project: str
) -> None:
    for path in ("", f"/project/{project}", f"/project/{uuid4()}"):
        for answer in (
            await ping(anybody, path),
            await anybody.get(f"/api/v1/mcp{path}/sse"),
            await anybody.post(f"/api/v1/mcp{path}/?session_id={uuid4().hex}"),
        ):
            assert answer.status_code == 403
            assert answer.json()["detail"]


async def test_a50_anothers_project_is_none(bob: Person, project: str) -> None:
    for path in (f"/project/{project}", f"/project/{uuid4()}"):
        answer = await ping(bob, path)
        assert (answer.status_code, answer.json()) == (
            404,
            {"detail": "Project not found"},
        )


class Kind(NamedTuple):
    """A way to prove who one is: what the owner sets, and what callers show."""

    auth: dict[str, str]
    right: dict[str, str]
    wrong: dict[str, str]


KINDS = {
    "apikey": Kind(
        {"api_key": "open-sesame"},
        {"x-api-key": "open-sesame"},
        {"x-api-key": "open-barley"},
    ),
    "bearer": Kind(
        {"bearer_token": "open-sesame"},
        {"Authorization": "Bearer open-sesame"},
        {"Authorization": "Bearer open-barley"},
    ),
    "basic": Kind(
        {"username": "ali", "password": "open-sesame"},
        basic("ali", "open-sesame"),
        basic("ali", "open-barley"),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_project_lets_in_who_knows_its_secret(
    ada: Person, anybody: httpx.AsyncClient, project: str, kind: str
) -> None:
    auth, right, wrong = KINDS[kind]
    address, path = str(ada.base_url).rstrip("/"), f"/project/{project}"
    await let_in(ada, project, auth_type=kind, **auth)

    async with over_http(address, path, **right) as session:
        said = await session.call_tool("say", {"input_value": "hello"})
    refused = await ping(anybody, path, **wrong)
    elsewhere = await ping(anybody, "", **right)
    own = await ping(ada, path)

    assert texts(said) == ["<hello>"]
    assert refused.status_code in {401, 403}
    assert elsewhere.status_code in {401, 403}, "it opens this project alone"
    assert own.status_code == 200


async def test_a26_who_guesses_a_projects_secret_is_shut_out_for_a_while(
    ada: Person, anybody: httpx.AsyncClient, project: str
) -> None:
    await let_in(ada, project, auth_type="basic", username="ali", password="sesame")
    path = f"/project/{project}"

    guessed = [await ping(anybody, path, **basic("ali", f"{n}")) for n in range(11)]
    knows = await ping(anybody, path, **basic("ali", "sesame"))

    assert {one.status_code for one in guessed[:10]} == {403}
    assert guessed[10].status_code == knows.status_code == 429
    assert int(knows.headers["retry-after"]) > 0


async def test_a50_without_authentication_tools_act_as_the_owner_and_nothing_else_does(
    address: str, ada: Person, anybody: httpx.AsyncClient, project: str, talk: Talk
) -> None:
    await let_in(ada, project, auth_type="none")

    async with talk(address, f"/project/{project}") as session:
        said = await session.call_tool("say", {"input_value": "hello"})
    others = [
        await anybody.get(f"/api/v1/mcp/project/{project}"),
        await anybody.get(f"/api/v1/projects/{project}"),
        await ping(anybody, ""),
    ]

    assert texts(said) == ["<hello>"]
    assert {one.status_code for one in others} == {403}

    await let_in(ada, project)
    assert (await ping(anybody, f"/project/{project}")).status_code == 403


async def test_a50_nobody_acts_as_an_owner_who_may_not_sign_in(
    eve: Person, root: Person, anybody: httpx.AsyncClient
) -> None:
    project = await project_of(eve)
    await let_in(eve, project, auth_type="none")
    assert (await ping(anybody, f"/project/{project}")).status_code == 200

    await root.patch(f"/api/v1/users/{eve.id}", json={"is_active": False})

    assert (await ping(anybody, f"/project/{project}")).status_code == 403


async def test_a50_a_stream_belongs_to_whoever_opened_it(
    address: str, ada: Person, bob: Person, project: str
) -> None:
    ids: list[str] = []
    async with (
        sse_client(
            f"{address}/api/v1/mcp/sse",
            headers=bearing(ada),
            on_session_created=ids.append,
        ) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()
        [opened] = ids
        foreign = await bob.post(f"/api/v1/mcp/?session_id={opened}", json=PING)
        unknown = await bob.post(f"/api/v1/mcp/?session_id={uuid4().hex}", json=PING)
        elsewhere = await ada.post(
            f"/api/v1/mcp/project/{project}/?session_id={opened}", json=PING
        )
        own = await ada.post(f"/api/v1/mcp/?session_id={opened}", json=PING)
    closed = await ada.post(f"/api/v1/mcp/?session_id={opened}", json=PING)

    assert own.status_code == 202
    for answer in (foreign, unknown, elsewhere, closed):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "Could not find session"}


@pytest.mark.parametrize(
    ("query", "body", "why"),
    [
        ("", b"{}", "session_id is required"),
        ("?session_id=no-id", b"{}", "Invalid session ID"),
    ],
)
async def test_a_message_to_no_stream_is_refused_in_our_shape(
    ada: Person, query: str, body: bytes, why: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await ada.post(f"/api/v1/mcp/{query}", content=body, headers=headers)

    assert (answer.status_code, answer.json()) == (400, {"detail": why})


async def test_a23_a_revoked_key_is_good_for_no_further_message(
    address: str, ada: Person, anybody: httpx.AsyncClient
) -> None:
    issued = (await ada.post("/api/v1/api_key/", json={"name": "k"})).json()
    with_key = {"x-api-key": issued["api_key"]}
    ids: list[str] = []
    async with (
        sse_client(
            f"{address}/api/v1/mcp/sse", headers=with_key, on_session_created=ids.append
        ) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()
        await ada.delete(f"/api/v1/api_key/{issued['id']}")
        answer = await anybody.post(
            f"/api/v1/mcp/?session_id={ids[0]}", json=PING, headers=with_key
        )

    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://evil.example:7860", "Host": "evil.example:7860"},
        {"Host": "evil.example:7860", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://127.0.0.1.evil.example"},
    ],
)
async def test_a50_no_page_of_another_site_speaks_to_a_server_on_this_machine(
    ada: Person, anybody: httpx.AsyncClient, project: str, headers: dict[str, str]
) -> None:
    await let_in(ada, project, auth_type="none")
    path = f"/project/{project}"

    answers = [
        await ping(anybody, path, **headers),
        await ping(ada, "", **headers),
        await anybody.get(f"/api/v1/mcp{path}/sse", headers=headers),
    ]

    assert {one.status_code for one in answers} == {403}


async def test_a50_a_page_of_this_machine_may(ada: Person) -> None:
    origin = {"Origin": str(ada.base_url).rstrip("/")}

    assert (await ping(ada, "", **origin)).status_code == 200


async def test_a50_secrets_of_access_are_shown_to_nobody_and_stay_when_unchanged(
    address: str, ada: Person, project: str
) -> None:
    await let_in(ada, project, auth_type="bearer", bearer_token="canary-b3a")
    url = f"/api/v1/mcp/project/{project}"

    shown = (await ada.get(url)).json()["auth_settings"]
    await let_in(ada, project, **shown | {"username": "ali"})
    again = await ada.get(url)
    read = await ada.get(f"/api/v1/projects/{project}")

    assert read.json()["auth_settings"] == shown | {"username": "ali"}
    assert "canary" not in read.text
    assert len(shown) == 16
    assert shown["bearer_token"] == "********"
    assert "canary" not in again.text
    headers = {"Authorization": "Bearer canary-b3a"}
    async with over_http(address, f"/project/{project}", **headers) as session:
        assert (await session.list_tools()).tools


async def test_a36_one_person_holds_only_so_many_streams(
    application: Application, address: str, join: Join, monkeypatch: Any
) -> None:
    monkeypatch.setattr("api.mcp.talks.MOST_OF_ONE", 2)
    one, other = await join("one"), await join("other")

    async with over_sse(address, **bearing(one)), over_sse(address, **bearing(one)):
        refused = await one.get("/api/v1/mcp/sse")
        async with over_sse(address, **bearing(other)) as session:
            assert (await session.list_tools()).tools == []

    assert refused.status_code == 429


async def test_a_large_message_is_refused(ada: Person) -> None:
    large = {**PING, "params": {"padding": "x" * 5 * 1024 * 1024}}

    answer = await ada.post("/api/v1/mcp/streamable", json=large, headers=SPEAKS)

    assert answer.status_code == 413


async def test_whoever_cancels_a_call_cancels_its_run(
    address: str, ada: Person, models: FakeModels, talk: Talk
) -> None:
    project = await project_of(ada)
    data = asking(provider="OpenAI", model_name="m")
    key = field(data, "LanguageModelComponent-b", "api_key")
    key |= {"value": "sk-mine", "load_from_db": False}
    flow = await tool_in(ada, project, action_name="ask", data=data)
    models.delay = 30.0
    try:
        async with talk(address, f"/project/{project}", **bearing(ada)) as session:
            called = len(models.calls)
            calling = asyncio.create_task(
                session.call_tool("ask", {"input_value": "hello"})
            )
            async with asyncio.timeout(30):
                while len(models.calls) == called:
                    await asyncio.sleep(0.01)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        assert await ended(ada, flow) == "cancelled"
    finally:
        models.delay = 0.0


async def ended(person: Person, flow: str) -> str:
    """Wait for the only run of *flow* to end; return how."""
    async with asyncio.timeout(30):
        while True:
            [run] = (await person.get(f"/api/v1/runs?flow_id={flow}")).json()["items"]
            if run["status"] in {"succeeded", "failed", "cancelled"}:
                return str(run["status"])
            await asyncio.sleep(0.05)
