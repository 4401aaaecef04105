"""Somebody else's MCP server, made with the library: over stdio, or on a port."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from mcp.server import MCPServer


def stand_in() -> MCPServer:
    """Return a server with two tools."""
    server = MCPServer("stand-in")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @server.tool()
    def setting(name: str) -> str:
        """Say what an environment variable of the server's process holds."""
        return os.environ.get(name, "")

    return server


@asynccontextmanager
async def on_a_port(transport: str) -> AsyncIterator[str]:
    """Serve on a port of loopback; yield the address to ask."""
    server = stand_in()
    app = server.sse_app() if transport == "sse" else server.streamable_http_app()
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        running = uvicorn.Server(config)
        task = asyncio.create_task(running.serve([listener]))
        while not running.started:
            await asyncio.sleep(0.01)
        path = "sse" if transport == "sse" else "mcp"
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/{path}"
        running.should_exit = True
        await task


if __name__ == "__main__":
    stand_in().run("stdio")
