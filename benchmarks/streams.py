"""How soon 200 readers hear of an event, beside what the parts of the way take."""

import argparse
import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, override

import msgspec
import psycopg
import uvloop
from psycopg.sql import SQL, Identifier

from benchmarks._bench import Figures, share, workplace
from benchmarks._serving import Server, connected
from domain.kernel import Json
from infrastructure.components.drawing import Drawing
from infrastructure.components.registry import BuiltinComponents
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres_cluster import ADMIN_ROLE

ENDS = ("run.succeeded", "run.failed", "run.cancelled")
SLOWEST = 120.0
"""Seconds after which a run that has not ended counts as lost."""
CROWD = 20
NOTIFIED = 100
CHANNEL = "bench"


class Heard(msgspec.Struct, frozen=True):
    """A frame: the event's version, tag and time, and when it arrived."""

    version: int
    tag: str
    at: float
    arrived: float


class Frame(msgspec.Struct, frozen=True):
    """What stands in a frame, as far as it matters here."""

    version: int
    type: str
    at: datetime


class Reader(asyncio.Protocol):
    """
    One reader of one run.

    It only notes what arrives and when; reading it is left for later, so that
    readers do not keep each other waiting.
    """

    def __init__(self) -> None:
        self.began = 0.0
        self.ended = asyncio.get_running_loop().create_future()
        self._pieces: list[tuple[float, bytes]] = []

    @override
    def data_received(self, data: bytes) -> None:
        now = time.time()
        self.began = self.began or now
        self._pieces.append((now, data))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def heard(self) -> list[Heard]:
        """Return the frames in order, each with when its last byte arrived."""
        told, rest = [], b""
        for arrived, piece in self._pieces:
            *blocks, rest = (rest + piece).split(b"\n\n")
            for block in blocks:
                data = block.rpartition(b"\ndata: ")[2]
                if b"\nid: " in b"\n" + block:
                    frame = msgspec.json.decode(data, type=Frame)
                    at = frame.at.timestamp()
                    told.append(Heard(frame.version, frame.type, at, arrived))
        return told


class SlowModel:
    """Speaks as much of OpenAI's protocol as it takes to answer after a while."""

    def __init__(self, fastest: float, slowest: float) -> None:
        self.url = ""
        self._waits = (fastest, slowest)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, limit=1 << 20)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        try:
            yield
        finally:
            server.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(
                int(head.partition("content-length:")[2].split()[0])
            )
            await asyncio.sleep(random.uniform(*self._waits))
            body = msgspec.json.encode(ANSWER)
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                b"connection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


ANSWER = {
    "id": "bench",
    "object": "chat.completion",
    "created": 0,
    "model": "bench",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "An answer. " * 20},
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 40, "total_tokens": 45},
}


def waiting_flow() -> Json:
    """Return a chat whose model takes its time."""
    drawing = Drawing(BuiltinComponents())
    heard = drawing.place("ChatInput-bench", "ChatInput", (0, 0))
    key = {"provider": "OpenAI", "model_name": "bench", "api_key": "a-key"}
    model = drawing.place("Model-bench", "LanguageModelComponent", (400, 0), **key)
    answer = drawing.place("ChatOutput-bench", "ChatOutput", (800, 0))
    drawing.connect(heard, "message", model, "input_value")
    drawing.connect(model, "text_output", answer, "input_value")
    document = drawing.document()
    for node in document["nodes"]:
        inlet = node["data"]["node"]["template"].get("api_key")
        if inlet is not None:
            inlet["load_from_db"] = False
    return document


class Bench:
    """The rounds: the readers, then the peers, on one server."""

    def __init__(self, server: Server, given: argparse.Namespace) -> None:
        self.figures = Figures()
        self._server = server
        self._readers: int = given.readers
        self._rounds: int = given.rounds
        self._asks: int = given.asks
        self._token = ""
        self._flow = ""

    async def run(self, model: SlowModel) -> None:
        async with model.serving():
            os.environ["LANGBUILDER_OPENAI_BASE_URL"] = model.url
            await self._server.start()
            async with connected(self._server.port) as client:
                self._token = await client.sign_in()
            async with connected(self._server.port, self._token) as client:
                made = {"name": "A slow model", "data": waiting_flow()}
                self._flow = (await client.post("/api/v1/flows/", made))["id"]
            await self._read(runs=2, readers=1)  # imports the provider's library
            for _ in range(self._rounds):
                await self._measured(runs=self._readers, readers=1)
                await self._measured(runs=self._readers // CROWD, readers=CROWD)
                await self._health()
                await self._notified()

    async def _measured(self, *, runs: int, readers: int) -> None:
        what = f"{runs} runs, {readers} reader{'s' * (readers > 1)} each"
        began, cpu = time.perf_counter(), self._server.cpu()
        told = await self._read(runs=runs, readers=readers)
        seconds, used = time.perf_counter() - began, self._server.cpu() - cpu
        self._note(what, told)
        self.figures.note(f"{what}: runs", runs / seconds, "/s")
        self.figures.note(f"{what}: server busy", used / seconds * 100, "%")

    async def _read(self, *, runs: int, readers: int) -> list[Reader]:
        """Start *runs* runs with *readers* readers each; return them at the end."""
        opened: list[Reader] = []
        async with connected(self._server.port, self._token) as client:
            for number in range(runs):
                asked = {"inputs": {"input_value": "hi", "session": f"s{number % 50}"}}
                path = f"/api/v1/build/{self._flow}/flow?event_delivery=polling"
                job = (await client.post(path, asked))["job_id"]
                opened += [await self._reader(job) for _ in range(readers)]
        async with asyncio.timeout(SLOWEST):
            await asyncio.gather(*(reader.ended for reader in opened))
        return opened

    async def _reader(self, run: str) -> Reader:
        transport, reader = await asyncio.get_running_loop().create_connection(
            Reader, "127.0.0.1", self._server.port
        )
        ask = (
            f"GET /api/v1/runs/{run}/events HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {self._token}\r\nconnection: close\r\n\r\n"
        )
        transport.write(ask.encode())
        return reader

    def _note(self, what: str, readers: list[Reader]) -> None:
        steps: list[Heard] = []
        ends: list[Heard] = []
        delivered = lost = twice = 0
        for reader in readers:
            told = reader.heard()
            versions = [one.version for one in told]
            if not told or told[-1].tag not in ENDS:
                raise RuntimeError(f"a stream broke off after {versions}")
            delivered += len(versions)
            lost += versions[-1] - len(set(versions))
            twice += len(versions) - len(set(versions))
            for one in told:
                if one.at > reader.began:  # earlier ones were history to this reader
                    (ends if one.tag in ENDS else steps).append(one)
        note = self.figures.note
        note(f"{what}: event to client, p50", latency(steps, 0.5), "ms", "<25")
        note(f"{what}: event to client, p99", latency(steps, 0.99), "ms", "<150")
        note(f"{what}: a run's end, p50", latency(ends, 0.5), "ms")
        note(f"{what}: a run's end, p99", latency(ends, 0.99), "ms")
        note(f"{what}: delivered", delivered, "events")
        note(f"{what}: heard as they happened", len(steps) + len(ends), "events")
        note(f"{what}: lost", lost, "events", "<0")
        note(f"{what}: delivered twice", twice, "events", "<0")

    async def _health(self) -> None:
        """Let as many idle connections ask for next to nothing, now and then."""
        took: list[float] = []

        async def one() -> None:
            async with connected(self._server.port) as client:
                for _ in range(self._asks):
                    await asyncio.sleep(random.uniform(0.2, 1.2))
                    began = time.perf_counter()
                    await client.get("/health")
                    took.append((time.perf_counter() - began) * 1000)

        await asyncio.gather(*(one() for _ in range(self._readers)))
        what = f"floor: GET /health, {self._readers} connections"
        self.figures.note(f"{what}, p50", share(took, 0.5), "ms")
        self.figures.note(f"{what}, p99", share(took, 0.99), "ms")

    async def _notified(self) -> None:
        """Measure from an insert's clock, over its commit, to who listens."""
        running = EmbeddedPostgres.running(self._server.home)
        assert running is not None
        url = running.url("postgres", role=ADMIN_ROLE)
        connect = psycopg.AsyncConnection.connect
        async with (
            await connect(url, autocommit=True) as hears,
            await connect(url, autocommit=True) as tells,
        ):
            await tells.execute("CREATE TABLE IF NOT EXISTS floor (at timestamptz)")
            await hears.execute(SQL("LISTEN {}").format(Identifier(CHANNEL)))
            telling = asyncio.create_task(tell(tells, NOTIFIED))
            took = [
                (time.time() - float(heard.payload)) * 1000
                async for heard in hears.notifies(stop_after=NOTIFIED)
            ]
            await telling
        what = "floor: insert, commit, NOTIFY to listener"
        self.figures.note(f"{what}, p50", share(took, 0.5), "ms")
        self.figures.note(f"{what}, p99", share(took, 0.99), "ms")


async def tell(connection: psycopg.AsyncConnection[Any], count: int) -> None:
    for _ in range(count):
        async with connection.transaction():
            cursor = await connection.execute(
                "INSERT INTO floor VALUES (clock_timestamp()) "
                "RETURNING extract(epoch FROM at)::text"
            )
            row = await cursor.fetchone()
            assert row is not None
            await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, row[0]))
        await asyncio.sleep(0.005)


def latency(heard: list[Heard], part: float) -> float:
    return share([(one.arrived - one.at) * 1000 for one in heard], part)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--asks", type=int, default=3)
    parser.add_argument("--slowest", type=float, default=4.0, help="seconds")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.quick:
        given.rounds = given.asks = 1
        given.slowest = 2.0
    return given


def main() -> None:
    given = arguments()
    with workplace() as home:
        server = Server(home / "data", free_port())
        bench = Bench(server, given)
        try:
            uvloop.run(bench.run(SlowModel(given.slowest / 2, given.slowest)))
        finally:
            server.stop()
    bench.figures.show(as_json=given.json)


if __name__ == "__main__":
    main()
