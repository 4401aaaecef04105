"""MCP's own client at a server of ours, over either of its transports."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx2
from mcp import ClientSession
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

from tests.api.conftest import Person
from tests.attacks.flows import echo, saved

type Talk = Callable[..., AbstractAsyncContextManager[ClientSession]]


@asynccontextmanager
async def over_sse(
    address: str, path: str = "", **headers: str
) -> AsyncIterator[ClientSession]:
    """Talk over server-sent events."""
    async with (
        sse_client(f"{address}/api/v1/mcp{path}/sse", headers=headers) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()
        yield session


@asynccontextmanager
async def over_http(
    address: str, path: str = "", **headers: str
) -> AsyncIterator[ClientSession]:
    """Talk over streamable HTTP."""
    url = f"{address}/api/v1/mcp{path}/streamable"
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        streamable_http_client(url, http_client=http) as streams,
        ClientSession(*streams) as session,
    ):
        await session.initialize()
        yield session


def bearing(person: Person) -> dict[str, str]:
    """Return the header by which *person* is known."""
    return {"Authorization": f"Bearer {person.token}"}


def texts(result: Any) -> list[str]:
    """Return the texts of a tool's answer."""
    assert isinstance(result, CallToolResult)
    return [one.text for one in result.content if one.type == "text"]


async def project_of(person: Person) -> str:
    """Open an empty project."""
    opened = await person.post("/api/v1/projects/", json={"name": f"p-{uuid4()}"})
    assert opened.status_code == 201, opened.text
    return str(opened.json()["id"])


async def tool_in(person: Person, project: str, **flow: Any) -> str:
    """Draw a flow in *project* that is a tool and says back what it is told."""
    document = flow.pop("data", None) or echo()
    return await saved(person, document, mcp_enabled=True, folder_id=project, **flow)


async def let_in(person: Person, project: str, **auth: Any) -> None:
    """Say who may call a project's tools."""
    body: dict[str, Any] = {"settings": [], "auth_settings": auth or None}
    answer = await person.patch(f"/api/v1/mcp/project/{project}", json=body)
    assert answer.status_code == 200, answer.text
