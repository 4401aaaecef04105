"""Other people's servers, stood in for by small ones on loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.types import ControllerRouterHandler

ALLOWED = "127.0.0.2"
"""A private address that the servers of tests/api may reach where people name it."""


@asynccontextmanager
async def standing_in(
    handlers: Sequence[ControllerRouterHandler], *, host: str = ALLOWED, **more: Any
) -> AsyncIterator[str]:
    """Serve *handlers* on a port of this machine; yield their address."""
    app = Litestar(list(handlers), openapi_config=None, logging_config=None, **more)
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind((host, 0))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.005)
        yield f"http://{host}:{listener.getsockname()[1]}"
        server.should_exit = True
        await task
