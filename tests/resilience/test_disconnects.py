"""Readers who are cut off a thousand times, anywhere, and miss and repeat nothing."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.journeys.running import Running, home_and_server

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(300)]

DISCONNECTS = 1000
RUNS = 20
READERS = 10
"""Of each run."""
FAR = 4000
"""Bytes that a reader gets on average before it is cut: half a run or so."""
TALKATIVE = "Basic Prompting"
ENDS = {"run.succeeded", "run.failed", "run.cancelled"}


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with home_and_server() as running:
        yield running


class Reader:
    """Follows one run, comes back with the last id, and counts how often it was cut."""

    def __init__(self, client: httpx.AsyncClient, run: str, seed: int) -> None:
        self.ids: list[int] = []
        self.cuts = 0
        self._client = client
        self._run = run
        self._random = random.Random(seed)
        self._ended = False

    async def follow(self) -> None:
        while not self._ended:
            seen = {"Last-Event-ID": str(self.ids[-1])} if self.ids else {}
            path = f"/api/v1/runs/{self._run}/events"
            async with self._client.stream("GET", path, headers=seen) as answer:
                assert answer.status_code == 200, answer.status_code
                await self._read(answer, int(self._random.expovariate(1 / FAR)))
            self.cuts += not self._ended
            await asyncio.sleep(self._random.random() * 0.02)

    async def _read(self, answer: httpx.Response, bytes_left: int) -> None:
        """Read about so many bytes, or to the end, and leave, mostly within a frame."""
        half = ""
        with suppress(httpx.RemoteProtocolError):
            async for chunk in answer.aiter_text(256):
                *frames, half = (half + chunk).split("\n\n")
                for frame in frames:
                    self._take(frame)
                bytes_left -= len(chunk)
                if bytes_left < 0 or self._ended:
                    return

    def _take(self, frame: str) -> None:
        lines = frame.splitlines()
        fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
        if "id" in fields:
            self.ids.append(int(fields["id"]))
            self._ended = fields["event"] in ENDS


async def started(client: httpx.AsyncClient, flow: str, number: int) -> str:
    """Ask for a run without waiting for it, and return its id."""
    said = {"inputs": {"input_value": f"word {number}", "session": f"s{number}"}}
    answer = await client.post(f"/api/v1/build/{flow}/flow", json=said)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["job_id"])


async def signed_in(client: httpx.AsyncClient, server: Running) -> None:
    form = {"username": server.username, "password": server.password}
    answer = await client.post("/api/v1/login", data=form)
    client.cookies.clear()
    client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"


async def test_a_thousand_cuts_lose_and_repeat_nothing(server: Running) -> None:
    cuts = 0
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=server.address, timeout=60, limits=limits
    ) as client:
        await signed_in(client, server)
        flows = (await client.get("/api/v1/flows/")).json()
        flow = next(one["id"] for one in flows if one["name"] == TALKATIVE)
        seed = 0
        while cuts < DISCONNECTS:
            runs = [await started(client, flow, seed + n) for n in range(RUNS)]
            readers = [
                Reader(client, run, seed + number)
                for number, run in enumerate(runs * READERS)
            ]
            seed += len(readers)
            await asyncio.gather(*(reader.follow() for reader in readers))
            for reader in readers:
                assert reader.ids == list(range(1, len(reader.ids) + 1)), reader.ids
            cuts += sum(reader.cuts for reader in readers)
    print(f"{cuts} cuts")
