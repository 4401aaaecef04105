"""Uploads to a real server: it holds none of it in memory, and dies without remains."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Self

import httpx
import psutil
import pytest

from infrastructure.blobs.local import LocalBlobs
from tests.journeys.running import running, signed_in
from tests.servers import directory_for_servers, eventually

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

MEGABYTE = 1024 * 1024
SIZE = 200 * MEGABYTE
GROWTH = 32 * MEGABYTE


@pytest.fixture
def home() -> Iterator[Path]:
    with directory_for_servers() as path:
        yield path


def form(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    )
    yield from pieces
    yield b"\r\n--b--\r\n"


FORM = {"content-type": "multipart/form-data; boundary=b"}


def megabytes(number: int) -> Iterator[bytes]:
    for nth in range(number):
        yield nth.to_bytes(4, "big") * (MEGABYTE // 4)


class Peak:
    """The most memory that a process has while it is watched."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss
        self._stop = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._stop.wait(0.01):
            self.most = max(self.most, self._process.memory_info().rss)

    @property
    def growth(self) -> int:
        return self.most - self.before


def test_a_large_file_is_never_whole_in_memory(home: Path) -> None:
    with (
        running(home) as server,
        signed_in(server, server.username, server.password) as client,
    ):
        small = client.post("/api/v2/files", files={"file": ("w.bin", b"warm")})
        client.get(f"/api/v2/files/{small.json()['id']}")

        with Peak(server.pid) as coming:
            began = time.monotonic()
            answer = client.post(
                "/api/v2/files",
                content=form(megabytes(SIZE // MEGABYTE)),
                headers=FORM,
            )
            took = time.monotonic() - began
        assert answer.status_code == 201, answer.text
        assert answer.json()["size"] == SIZE
        digest = sha256()
        with (
            Peak(server.pid) as going,
            client.stream("GET", f"/api/v2/files/{answer.json()['id']}") as stream,
        ):
            for chunk in stream.iter_bytes():
                digest.update(chunk)

    expected = sha256()
    for piece in megabytes(SIZE // MEGABYTE):
        expected.update(piece)
    assert digest.digest() == expected.digest()
    told = (
        f"{SIZE / took / MEGABYTE:.0f} MB/s in, growth {coming.growth} {going.growth}"
    )
    assert coming.growth < GROWTH, told
    assert going.growth < GROWTH, told
    print(told)


@pytest.mark.chaos
def test_what_a_killed_server_was_receiving_is_swept(home: Path) -> None:
    blobs = home / "data" / "blobs"
    with running(home) as server:
        user = (server.username, server.password)
        with signed_in(server, *user) as client:
            kept = client.post("/api/v2/files", files={"file": ("k.txt", b"kept")})
            assert kept.status_code == 201
            started = threading.Event()

            def endless() -> Iterator[bytes]:
                while True:
                    yield b"x" * MEGABYTE
                    started.set()

            def upload() -> None:
                with suppress(httpx.TransportError):
                    client.post("/api/v2/files", content=form(endless()), headers=FORM)

            sending = threading.Thread(target=upload, daemon=True)
            sending.start()
            assert started.wait(30)
            eventually(lambda: _some_arrived(blobs), failures=(AssertionError,))
            server.kill()
            sending.join(30)

    assert any((blobs / "arriving").iterdir())
    with running(home) as server, signed_in(server, *user) as client:
        [listed] = client.get("/api/v2/files").json()
        assert listed["id"] == kept.json()["id"]
        content = client.get(f"/api/v2/files/{listed['id']}").content
        assert content == b"kept"
        asyncio.run(swept(blobs))
        assert client.get(f"/api/v2/files/{listed['id']}").content == b"kept"
    assert not any((blobs / "arriving").iterdir())
    assert sum(path.is_file() for path in (blobs / "sha256").rglob("*")) == 1


async def swept(folder: Path) -> None:
    """Do what the retention does a day later."""
    blobs = LocalBlobs(folder)
    left = await blobs.left_over(before=datetime.now(UTC) + timedelta(days=1))
    assert len(left) == 1
    await blobs.sweep(left)


def _some_arrived(blobs: Path) -> None:
    sizes = [path.stat().st_size for path in (blobs / "arriving").iterdir()]
    assert max(sizes, default=0) > MEGABYTE
