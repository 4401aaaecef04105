"""MCP servers of others: reached where they may be, and only as the operator allows."""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from application.ports.mcp import McpServerUnreachableError
from domain.mcp_server.config import Config
from infrastructure.mcp_connections import OthersMcpServers
from tests import mcp_stand_in
from tests.mcp_stand_in import on_a_port

WITHIN = 10.0
LOOPBACK = ("127.0.0.1",)
SCRIPT = str(Path(mcp_stand_in.__file__))
STARTED: Config = {"command": sys.executable, "args": [SCRIPT]}
LINE = shlex.join([sys.executable, SCRIPT])


async def tools(others: OthersMcpServers, config: Config) -> Sequence[str]:
    return await others.tools(config, within=WITHIN)


@pytest.mark.parametrize(
    ("transport", "said"),
    [
        ("sse", {}),
        ("sse", {"transport": "sse"}),
        ("streamable", {}),
        ("streamable", {"type": "streamable_http"}),
    ],
)
async def test_a_server_on_a_port_tells_its_tools(
    transport: str, said: dict[str, str]
) -> None:
    async with on_a_port(transport) as url:
        others = OthersMcpServers(allowed_hosts=LOOPBACK)

        assert await tools(others, {"url": url, **said}) == ["add", "setting"]


async def test_a_client_that_is_lent_calls_tools() -> None:
    async with (
        on_a_port("streamable") as url,
        OthersMcpServers(allowed_hosts=LOOPBACK).connect({"url": url}) as client,
    ):
        answer = await client.call_tool("add", {"a": 1, "b": 2})

    assert [one.text for one in answer.content if one.type == "text"] == ["3"]


@pytest.mark.parametrize("config", [{"transport": "sse"}, {}])
async def test_a39_a_private_address_is_not_asked(config: Config) -> None:
    heard = asyncio.Event()
    server = await asyncio.start_server(lambda *_: heard.set(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            url = f"http://{host}:{port}/mcp"
            with pytest.raises(McpServerUnreachableError, match="private network"):
                await tools(OthersMcpServers(), {"url": url, **config})

    assert not heard.is_set()


async def test_a_server_that_says_nothing_is_waited_for_only_so_long() -> None:
    over = asyncio.Event()

    async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(nothing, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        others = OthersMcpServers(allowed_hosts=LOOPBACK)
        with pytest.raises(McpServerUnreachableError, match="did not answer within"):
            await others.tools({"url": url}, within=0.3)
        over.set()


async def test_a_server_that_is_not_there_is_said_to_be_away() -> None:
    others = OthersMcpServers(allowed_hosts=LOOPBACK)

    with pytest.raises(McpServerUnreachableError, match="Connect"):
        await tools(others, {"url": "http://127.0.0.1:9/mcp"})


async def test_an_allowed_command_is_started_with_what_may_be_set_for_it() -> None:
    others = OthersMcpServers(commands=[f"TOKEN= {LINE}"])

    assert await tools(others, STARTED) == ["add", "setting"]
    async with others.connect(STARTED | {"env": {"TOKEN": "t-1"}}) as client:
        answer = await client.call_tool("setting", {"name": "TOKEN"})

    assert [one.text for one in answer.content if one.type == "text"] == ["t-1"]


@pytest.mark.parametrize(
    "config",
    [
        STARTED | {"args": [SCRIPT, "--more"]},
        STARTED | {"args": []},
        STARTED | {"args": ["-c", "open('{canary}', 'w')"]},
        STARTED | {"command": f"./{Path(sys.executable).name}"},
        STARTED | {"env": {"LD_PRELOAD": "/x.so"}},
        STARTED | {"env": {"NODE_OPTIONS": "--require /x.js"}},
        STARTED | {"env": {"PYTHONSTARTUP": "/x.py"}},
        STARTED | {"env": {"token": "t-1"}},
        {"command": "npx", "args": ["-y", "anything"]},
        {"command": "npx", "args": ["-c", "touch {canary}"]},
        {"command": "node", "args": ["-e", "1"]},
        {"command": "docker", "args": ["run", "-v", "/:/host", "alpine"]},
        {"command": "sh", "args": ["-c", "touch {canary}"]},
        {"command": "touch", "args": ["{canary}"], "url": "http://127.0.0.1/"},
    ],
)
async def test_a5_no_other_command_is_started(config: Config, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    args = [one.replace("{canary}", str(canary)) for one in config["args"]]
    others = OthersMcpServers(commands=[f"TOKEN= {LINE}"])

    with pytest.raises(McpServerUnreachableError, match="operator has not allowed"):
        await tools(others, config | {"args": args})

    assert not canary.exists()


async def test_a5_by_default_no_command_is_started_at_all() -> None:
    with pytest.raises(McpServerUnreachableError, match="LANGBUILDER_MCP_COMMANDS"):
        await tools(OthersMcpServers(), STARTED)
