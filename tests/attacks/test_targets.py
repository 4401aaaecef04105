"""A40: where a tenant has the server call, the same filter holds everywhere."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import uuid4

import pytest

from tests.api.conftest import Person
from tests.attacks.flows import asking, built, echo, field, saved

WAYS = (
    "http://127.0.0.1:{port}",
    "http://localhost:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://user:pass@127.0.0.1:{port}",
    "http://169.254.169.254/latest/meta-data",
)
SETTINGS = (
    *("like_webhook_url", "download_webhook_url", "store_url", "webhook_url"),
    *("callback_url", "otlp_endpoint", "tracing_url", "openai_base_url"),
    *("OPENAI_BASE_URL", "LANGCHAIN_ENDPOINT", "LANGFUSE_HOST"),
)


class Inside(NamedTuple):
    """A server within the private network, and how often it was called."""

    port: int
    calls: list[str]


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    """A server that nobody outside may have called."""
    calls: list[str] = []

    async def called(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append("called")
        writer.close()

    server = await asyncio.start_server(called, "127.0.0.1", 0)
    async with server:
        yield Inside(server.sockets[0].getsockname()[1], calls)


@pytest.mark.parametrize("way", WAYS)
async def test_a40_no_target_of_a_tenants_lies_within(
    mallory: Person, inside: Inside, way: str
) -> None:
    """Publishing and withdrawing, MCP servers, model addresses in flows."""
    url = way.format(port=inside.port)
    flow = await saved(mallory, echo())
    site: dict[str, Any] = {
        "flow_id": flow,
        "openwebui_url": url,
        "openwebui_api_key": "k",
    }
    published = [
        await mallory.post("/api/v1/publish/openwebui", json=site),
        await mallory.request("DELETE", "/api/v1/publish/openwebui", json=site),
    ]
    names = [f"s-{uuid4().hex}" for _ in range(2)]
    for name, kind in zip(names, ("sse", "streamable_http"), strict=True):
        config = {"url": f"{url}/mcp", "type": kind}
        await mallory.post(f"/api/v2/mcp/servers/{name}", json=config)
    counted = (await mallory.get("/api/v2/mcp/servers?action_count=true")).json()
    for name in names:
        assert (await mallory.delete(f"/api/v2/mcp/servers/{name}")).is_success
    data = asking(provider="Ollama", model_name="m", base_url=url)
    field(data, "LanguageModelComponent-b", "base_url")["show"] = True
    await built(mallory, await saved(mallory, data), inputs={"input_value": "x"})

    assert inside.calls == []
    assert all(400 <= one.status_code < 600 for one in published)
    assert all(one["toolsCount"] is None for one in counted if one["name"] in names)
    assert len([one for one in counted if one["name"] in names]) == 2


async def test_a40_what_only_operators_set_no_tenant_does(
    mallory: Person, inside: Inside
) -> None:
    """Hooks, store, tracing and model servers are settings, and no body says them."""
    url = f"http://127.0.0.1:{inside.port}"
    said = dict.fromkeys(SETTINGS, url)
    flow = await saved(mallory, echo(), **said)
    for name, value in said.items():
        one = {"name": name, "value": value, "type": "Generic"}
        await mallory.post("/api/v1/variables/", json=one)
    await mallory.patch(f"/api/v1/flows/{flow}", json=said)
    await mallory.patch(f"/api/v1/users/{mallory.id}", json=said)
    headers = {f"X-LANGFLOW-GLOBAL-VAR-{name}": url for name in said}

    await mallory.post(f"/api/v1/run/{flow}", json=said, headers=headers)
    await mallory.post("/api/v1/responses", json={"model": flow, "input": "x"} | said)

    assert inside.calls == []
