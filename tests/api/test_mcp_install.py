"""A project's tools in the configuration files of clients on the server's machine."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from api.composition import Application
from application.mcp_install import McpInstallation
from application.ports.mcp_clients import Client
from infrastructure.mcp_clients import LocalMcpClients
from tests.api.conftest import Person, serving
from tests.api.mcp_clients import project_of


def installing(application: Application, files: LocalMcpClients) -> Application:
    """Return the application of an operator who wants it, with another home."""
    world = application.world
    installation = McpInstallation(
        world.store,
        ownership=world.ownership,
        api_keys=world.api_keys,
        clients=files,
    )
    return replace(application, world=replace(world, mcp_installation=installation))


async def test_by_default_nothing_is_written(ada: Person) -> None:
    url = f"/api/v1/mcp/project/{await project_of(ada)}"

    refused = await ada.post(f"{url}/install", json={"client": "cursor"})

    assert refused.status_code == 400
    assert "LANGBUILDER_MCP_INSTALL" in refused.json()["detail"]
    assert (await ada.get(f"{url}/installed")).json() == []


@pytest.mark.parametrize("client", ["cursor", "windsurf", "claude"])
async def test_where_the_operator_wants_it_a_client_learns_of_the_tools(
    application: Application, ada: Person, tmp_path: Path, client: Client
) -> None:
    files = LocalMcpClients(tmp_path, platform="linux")
    same = installing(application, files)
    project = await project_of(ada)
    path = files.path(client)
    path.parent.mkdir(parents=True)
    path.write_text('{"theirs": 1, "mcpServers": {"other": {"command": "x"}}}')

    async with (
        serving(same) as address,
        httpx.AsyncClient(base_url=address, headers=ada.headers, timeout=30) as here,
    ):
        url = f"/api/v1/mcp/project/{project}"
        done = await here.post(f"{url}/install", json={"client": client})
        known = await here.get(f"{url}/installed")
        elsewhere = await here.post(
            f"{url}/install",
            json={"client": client},
            headers={"X-Forwarded-For": "203.0.113.9"},
        )
        written = json.loads(path.read_text())
        [name] = set(written["mcpServers"]) - {"other"}
        *_, key, asked = written["mcpServers"][name]["args"]
        allowed = await here.get(
            "/api/v1/flows/", headers={"x-api-key": key, "Authorization": ""}
        )

    assert done.status_code == 200, done.text
    assert key not in done.text
    assert known.json() == [client]
    assert elsewhere.status_code == 403
    assert written["theirs"] == 1
    assert written["mcpServers"]["other"] == {"command": "x"}
    assert asked == f"{address}{url}/streamable"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert allowed.status_code == 403, "the key runs flows and reads nothing"


def ids(keys: list[dict[str, Any]]) -> set[str]:
    return {key["id"] for key in keys}


@pytest.mark.parametrize("text", ["no json", "[]", '{"mcpServers": []}'])
async def test_a_file_that_cannot_be_read_is_left_as_it_is(
    application: Application, ada: Person, tmp_path: Path, text: str
) -> None:
    files = LocalMcpClients(tmp_path, platform="linux")
    path = files.path("cursor")
    path.parent.mkdir(parents=True)
    path.write_text(text)
    same = installing(application, files)

    async with (
        serving(same) as address,
        httpx.AsyncClient(base_url=address, headers=ada.headers, timeout=30) as here,
    ):
        url = f"/api/v1/mcp/project/{await project_of(ada)}/install"
        before = (await here.get("/api/v1/api_key/")).json()
        refused = await here.post(url, json={"client": "cursor"})
        # A refusal waits for no view, which may yet show the key that was taken back.
        head = await application.world.store.head()
        assert await application.daemon.reached(head, within=30)
        after = (await here.get("/api/v1/api_key/")).json()

    assert refused.status_code == 400
    assert ids(after["api_keys"]) == ids(before["api_keys"])
    assert path.read_text() == text
