"""Clients that hardly send, never end, or open more than anybody reads."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest
from msgspec.structs import replace

from api import lines, paces
from api.composition import Application
from api.open_streams import OpenStreams
from tests.api.conftest import PATIENCE, Person, serving
from tests.api.endless import endless

EACH = 3


class Wire:
    """A connection on which whatever one likes can be sent."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader = reader
        self.writer = writer

    async def heard(self) -> bytes:
        """Return everything that comes until the server hangs up."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def drip(self, drop: bytes, *, pause: float = 0.02) -> None:
        """Send a little again and again, for ever."""
        while not self.writer.is_closing():
            self.writer.write(drop)
            await asyncio.sleep(pause)


async def wire(address: str) -> Wire:
    host, _, port = address.removeprefix("http://").partition(":")
    return Wire(*await asyncio.open_connection(host, int(port)))


async def hung_up_on(line: Wire, drop: bytes) -> bytes:
    """
    Keep sending *drop*; return what is said until the server has had enough.

    What it says may be lost on somebody who sends more after it has hung up.
    """
    dripping = asyncio.create_task(line.drip(drop))
    try:
        return await line.heard()
    finally:
        dripping.cancel()
        line.writer.close()


async def test_a36_a_line_on_which_nothing_is_said_is_closed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "HEAD_WITHIN", 0.15)

    assert await hung_up_on(await wire(address), b"") == b""


@pytest.mark.parametrize(
    "begun",
    [b"GET /api", b"GET /health HTTP/1.1\r\nHost: a\r\n"],
    ids=["half a line", "headers"],
)
async def test_a36_a_head_that_hardly_comes_is_not_waited_for(
    address: str, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(lines, "HEAD_WITHIN", 0.15)
    line = await wire(address)
    line.writer.write(begun)

    drop = b"X-Drop: 1\r\n" if b"\n" in begun else b""
    said = await hung_up_on(line, drop)

    assert (drop and not said) or said.startswith(b"HTTP/1.1 408 ")
    assert (drop and not said) or said.endswith(b'{"detail":"Request Timeout"}')


async def test_a36_the_next_request_of_a_connection_is_not_waited_for_either(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await wire(address)
    line.writer.write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
    answered = await line.reader.readuntil(b"\r\n\r\n")
    monkeypatch.setattr(lines, "HEAD_WITHIN", 0.15)
    line.writer.write(b"GET /livez HT")

    said = await hung_up_on(line, b"")

    assert answered.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in said


@pytest.mark.parametrize(
    "drop",
    [b"x" * 8192, b"X-Header: y\r\n" * 512],
    ids=["one header", "many headers"],
)
async def test_a36_a_head_without_end_is_cut_off(address: str, drop: bytes) -> None:
    line = await wire(address)
    line.writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Header: ")
    dripping = asyncio.create_task(line.drip(drop, pause=0))

    said = await line.heard()
    dripping.cancel()
    line.writer.close()

    assert said == b"" or said.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("path", "drop"),
    [("/api/v1/flows/", b""), ("/api/v1/mcp/streamable", b" ")],
    ids=["not at all", "slowly"],
)
async def test_a36_a_body_that_hardly_comes_is_not_waited_for(
    ada: Person, address: str, monkeypatch: pytest.MonkeyPatch, path: str, drop: bytes
) -> None:
    monkeypatch.setattr(paces, "BODY_WITHIN", 0.15)
    line = await wire(address)
    line.writer.write(
        f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {ada.token}\r\n"
        "Content-Type: application/json\r\nAccept: application/json, "
        'text/event-stream\r\nContent-Length: 50000\r\n\r\n{"name":'.encode()
    )

    said = await hung_up_on(line, drop)

    assert (drop and not said) or said.startswith(b"HTTP/1.1 408 "), said
    assert (drop and not said) or b"The body came too slowly" in said


@pytest.fixture(scope="module")
async def narrow(application: Application) -> AsyncIterator[str]:
    """The same server with few places for each."""
    same = replace(application, open_streams=OpenStreams(each=EACH))
    async with serving(same) as address:
        yield address


async def test_a36_one_person_has_only_so_many_streams_open(
    application: Application, narrow: str, ada: Person, bob: Person
) -> None:
    """10,000 connections of one person are as many as one person may have."""
    path = f"/api/v1/runs/{await endless(application, ada)}/events"
    async with (
        httpx.AsyncClient(base_url=narrow, timeout=PATIENCE) as client,
        AsyncExitStack() as streams,
    ):
        hers = {"Authorization": f"Bearer {ada.token}"}
        his = {"Authorization": f"Bearer {bob.token}"}
        for _ in range(EACH):
            opened = client.stream("GET", path, headers=hers)
            assert (await streams.enter_async_context(opened)).status_code == 200

        refused = await client.get(path, headers=hers)
        others = await client.get("/api/v1/users/whoami", headers=his)
        anybody = await client.get("/health")
        await streams.aclose()
        async with asyncio.timeout(PATIENCE):
            while (again := await client.get("/api/v1/flows/", headers=hers)).is_error:
                pass

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json() == {
        "detail": "3 of your requests are being answered; let some end"
    }
    assert others.status_code == anybody.status_code == again.status_code == 200
