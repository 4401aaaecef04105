"""A client of our WebSockets, as a browser or a program would be one."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.api.conftest import Person

PATIENCE = 20.0


class Talk:
    """One socket that is open: what is sent, and what comes."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(await self.socket.recv())
        return frame

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Return all that comes, up to the first frame of *kind*."""
        heard = [await self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(await self.hear())
        return heard

    async def closed(self) -> tuple[int | None, str | None]:
        """Return how the server closes, whatever it says before."""
        try:
            while True:
                await self.socket.recv()
        except ConnectionClosed:
            return self.socket.close_code, self.socket.close_reason


@asynccontextmanager
async def talking(
    address: str, path: str, *, headers: dict[str, str] | None = None, **more: Any
) -> AsyncIterator[Talk]:
    """Open a socket at *path* with just these *headers*."""
    url = address.replace("http://", "ws://") + path
    async with connect(
        url,
        additional_headers=headers,
        open_timeout=PATIENCE,
        proxy=None,
        max_size=2**24,
        **more,
    ) as socket:
        yield Talk(socket)


def bearing(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def kinds(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames]


async def starter(person: Person, name: str) -> str:
    flows = (await person.get("/api/v1/flows/?get_all=true&header_flows=true")).json()
    return next(str(flow["id"]) for flow in flows if flow["name"] == name)
