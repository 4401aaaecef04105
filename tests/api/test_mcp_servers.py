"""MCP servers of others: set up, shown without secrets, and asked when asked to."""

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec.structs import replace

from api.composition import Application
from application.mcp_servers import MOST, McpServers
from infrastructure.mcp_connections import OthersMcpServers
from tests.api.conftest import Join, Person, serving
from tests.mcp_stand_in import on_a_port

SERVERS = "/api/v2/mcp/servers"


def named() -> str:
    return f"{SERVERS}/server-{uuid4()}"


async def test_a_server_is_added_shown_changed_and_removed(ada: Person) -> None:
    url = named()
    config = {
        "command": "uvx",
        "args": ["mcp-server-time"],
        "env": {"TOKEN": "canary-a1", "EMPTY": ""},
        "unknown": [1],
    }
    masked = config | {"env": {"TOKEN": "********", "EMPTY": ""}}

    assert (await ada.get(url)).json() is None
    added = await ada.post(url, json=config)
    again = await ada.post(url, json=config)
    shown = await ada.get(url)
    listed = await ada.get(SERVERS)
    changed = await ada.patch(url, json={"url": "https://mcp.example.org/mcp"})
    removed = await ada.delete(url)
    unknown = await ada.delete(url)

    assert (added.status_code, added.json()) == (200, masked)
    assert shown.json() == masked
    name = url.rpartition("/")[2]
    assert {"name": name, "mode": None, "toolsCount": None} in listed.json()
    assert (again.status_code, again.json()) == (
        409,
        {"detail": "Server already exists"},
    )
    assert changed.json() == {"url": "https://mcp.example.org/mcp"}
    assert (removed.status_code, removed.json()) == (200, None)
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": "Server not found"},
    )
    assert name not in (await ada.get(SERVERS)).text


async def test_a_change_with_placeholders_keeps_the_secrets(
    application: Application, ada: Person
) -> None:
    url = named()
    headers = {"Authorization": "canary-b2", "X-Other": "canary-b3"}
    at = "https://u:canary-b4@a.example/mcp"
    await ada.post(url, json={"url": at, "headers": headers})

    shown = (await ada.get(url)).json()
    assert shown["url"] == "https://u:********@a.example/mcp"
    shown["headers"]["X-Other"] = "changed"
    await ada.patch(url, json=shown)

    world = application.world
    vault = world.vault
    server = await world.mcp_servers._named(UUID(ada.id), url.rpartition("/")[2])
    assert server is not None
    [text] = (await vault.open([server.secret])).values()
    assert "canary-b2" in text
    assert at in text
    assert "changed" in text
    assert "canary-b3" not in text


async def test_a_password_does_not_follow_an_address_elsewhere(
    application: Application, ada: Person
) -> None:
    url = named()
    await ada.post(url, json={"url": "https://u:canary-b5@a.example/mcp"})

    await ada.patch(url, json={"url": "https://u:********@evil.example/mcp"})

    world = application.world
    server = await world.mcp_servers._named(UUID(ada.id), url.rpartition("/")[2])
    assert server is not None
    [text] = (await world.vault.open([server.secret])).values()
    assert "canary-b5" not in text


async def test_anothers_servers_are_not_there(ada: Person, bob: Person) -> None:
    url = named()
    await ada.post(url, json={"url": "https://a.example/mcp"})

    assert (await bob.get(url)).json() is None
    assert (await bob.delete(url)).status_code == 404
    assert url.rpartition("/")[2] not in (await bob.get(SERVERS)).text
    assert (await bob.post(url, json={"url": "https://b.example"})).status_code == 200
    assert (await ada.get(url)).json() == {"url": "https://a.example/mcp"}


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"command": ""},
        {"command": 3},
        {"command": "uvx", "args": "one"},
        {"command": "uvx", "args": [1]},
        {"command": "uvx", "env": {"A": 1}},
        {"url": "file:///etc/passwd"},
        {"url": "ftp://example.org"},
        {"url": ["https://example.org"]},
        {"url": "https://example.org", "headers": ["A"]},
    ],
)
async def test_what_is_no_server_is_refused(ada: Person, config: Any) -> None:
    for method in ("POST", "PATCH"):
        answer = await ada.request(method, named(), json=config)
        assert answer.status_code == 422, answer.text


async def test_a_config_has_a_limit_and_so_has_their_number(join: Join) -> None:
    many = await join("collector")
    config = {"url": "https://example.org"}
    large = await many.post(named(), json=config | {"more": "x" * 70_000})
    added = [await many.post(named(), json=config) for _ in range(MOST)]
    beyond = await many.post(named(), json=config)

    assert large.status_code == 413
    assert {one.status_code for one in added} == {200}
    assert beyond.status_code == 400
    assert "as many MCP servers" in beyond.json()["detail"]


async def test_a_repeat_gets_the_first_ones_answer(ada: Person) -> None:
    url, key = named(), {"Idempotency-Key": str(uuid4())}
    config = {"url": "https://example.org"}

    answers = [await ada.post(url, json=config, headers=key) for _ in range(2)]

    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()


async def test_a4_nothing_is_started_or_asked_by_saving(ada: Person) -> None:
    url = named()
    config = {"command": "no-such-command-here", "args": ["-c", "touch /tmp/x"]}

    assert (await ada.post(url, json=config)).status_code == 200
    assert (await ada.get(url)).json() == config


async def test_the_count_asks_each_server_and_says_what_is_wrong_with_others(
    application: Application, join: Join
) -> None:
    dora = await join("dora")
    world = application.world
    allowing = McpServers(
        world.store,
        claims=world.claims,
        vault=world.vault,
        connections=OthersMcpServers(allowed_hosts=["127.0.0.1"]),
    )
    same = replace(application, world=replace(world, mcp_servers=allowing))
    async with on_a_port("streamable") as url, serving(same) as address:
        for name, config in (
            ("a", {"url": url}),
            ("b", {"url": "http://10.0.0.1/mcp"}),
            ("c", {"command": "uvx", "args": ["mcp-server-time"]}),
        ):
            answer = await dora.post(f"{SERVERS}/{name}", json=config)
            assert answer.status_code == 200, answer.text
        async with httpx.AsyncClient(
            base_url=address, headers=dora.headers, timeout=30
        ) as client:
            listed = (await client.get(f"{SERVERS}?action_count=true")).json()

    good, private, command = listed
    assert good == {"name": "a", "mode": "sse", "toolsCount": 2}
    assert (private["mode"], private["toolsCount"]) == ("sse", None)
    assert "private network" in private["error"]
    assert (command["mode"], command["toolsCount"]) == ("stdio", None)
    assert "LANGBUILDER_MCP_COMMANDS" in command["error"]
