"""A real server beside the benchmark: started, spoken to, and its use counted."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")
PASSWORD = "a-password-for-benchmarks"
READY_WITHIN = 60.0


UNLIMITED = ("SIGN_IN", "RUNS", "OTHER")


class Server:
    """``langbuilder run`` on a data directory of its own, with its own PostgreSQL."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> float:
        """Start it; return the seconds until it answered."""
        began = time.perf_counter()
        self._process = self._spawned()
        while time.perf_counter() - began < READY_WITHIN:
            try:
                async with connected(self.port) as client:
                    await client.get("/health")
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return time.perf_counter() - began
        raise TimeoutError("the server did not start")

    def _spawned(self) -> subprocess.Popen[bytes]:
        environ = os.environ | {
            "LANGBUILDER_DATA_DIR": str(self.home),
            "LANGBUILDER_SUPERUSER_PASSWORD": PASSWORD,
            "LANGBUILDER_LOG_LEVEL": "warning",
            # What is measured is how fast it is, not how patient.
            **{f"LANGBUILDER_RATE_LIMIT_{kind}": "0" for kind in UNLIMITED},
        }
        program = Path(sys.executable).with_name("langbuilder")
        return subprocess.Popen(
            [program, "run", "--port", str(self.port)],
            env=environ,
            stdout=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def postgres(self) -> int:
        pid_file = self.home / "postgres" / "data" / "postmaster.pid"
        return int(pid_file.read_text().splitlines()[0])

    def cpu(self) -> float:
        """Return the CPU seconds of the server, without its PostgreSQL."""
        return cpu_of(self.pid)

    def postgres_cpu(self) -> float:
        """Return the CPU seconds of every process of PostgreSQL there is."""
        return sum(map(cpu_of, [self.postgres, *children_of(self.postgres)]))

    def memory(self) -> tuple[float, float]:
        """Return the megabytes of server and PostgreSQL, shared ones once (PSS)."""
        database = [self.postgres, *children_of(self.postgres)]
        return pss_of(self.pid), sum(map(pss_of, database))


def cpu_of(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS


def children_of(pid: int) -> list[int]:
    return [
        int(word)
        for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    ]


def pss_of(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except FileNotFoundError:
        return 0.0
    return next(
        int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")
    )


class Client:
    """One connection, kept; as little of HTTP as will do, so that it costs little."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._token = f"authorization: Bearer {token}\r\n" if token else ""

    async def get(self, path: str) -> Any:
        return await self._ask("GET", path, b"", "application/json")

    async def post(self, path: str, body: object) -> Any:
        return await self._ask(
            "POST", path, msgspec.json.encode(body), "application/json"
        )

    async def patch(self, path: str, body: object) -> Any:
        return await self._ask(
            "PATCH", path, msgspec.json.encode(body), "application/json"
        )

    async def sign_in(self) -> str:
        body = f"username=langbuilder&password={PASSWORD}".encode()
        kind = "application/x-www-form-urlencoded"
        answer = await self._ask("POST", "/api/v1/login", body, kind)
        return str(answer["access_token"])

    async def _ask(self, method: str, path: str, body: bytes, kind: str) -> Any:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n{self._token}"
            f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        status, *headers = (
            (await self._reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        )
        length = next(h for h in headers if h.startswith("content-length:"))
        said = await self._reader.readexactly(int(length.partition(":")[2]))
        code = int(status.split()[1])
        if code >= 400:
            raise RuntimeError(f"{method} {path}: {code} {said[:300]!r}")
        return msgspec.json.decode(said)


@asynccontextmanager
async def connected(port: int, token: str = "") -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        yield Client(reader, writer, token)
    finally:
        writer.close()


class Load(msgspec.Struct, frozen=True):
    """What many requests came to: rate, median, and CPU for each in milliseconds."""

    rate: float
    median_ms: float
    server_ms: float
    postgres_ms: float


async def load(
    server: Server,
    token: str,
    ask: Callable[[Client, int], Awaitable[object]],
    *,
    clients: int,
    count: int,
) -> Load:
    """Have *clients* send *count* requests in all, each as soon as it was answered."""
    left, taken = iter(range(count)), []

    async def one() -> None:
        async with connected(server.port, token) as client:
            for number in left:
                began = time.perf_counter()
                await ask(client, number)
                taken.append(time.perf_counter() - began)

    cpu, database, began = server.cpu(), server.postgres_cpu(), time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    seconds = time.perf_counter() - began
    return Load(
        count / seconds,
        sorted(taken)[len(taken) // 2] * 1000,
        (server.cpu() - cpu) / count * 1000,
        (server.postgres_cpu() - database) / count * 1000,
    )
