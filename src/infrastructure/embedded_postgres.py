"""A PostgreSQL that is started for one data directory, and stops with its server."""

import logging
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

import msgspec

from infrastructure import postgres_binaries
from infrastructure.data_directory import (
    DataDirectory,
    DataDirectoryUnusableError,
    make_directory,
    sync_directory,
    write_private,
)
from infrastructure.postgres_binaries import Account, Binaries
from infrastructure.starting import CannotStartError

logger = logging.getLogger(__name__)

DATABASE = "langbuilder"
APP_ROLE = "langbuilder"
OWNER_ROLE = "langbuilder_owner"
ADMIN_ROLE = "postgres"

_READY_WITHIN = 60.0
_STOPPED_WITHIN = 30.0
_LONGEST_SOCKET_DIR = 80  # the kernel's limit is 104 to 108 with the socket's name
_LARGEST_LOG = 10 * 1024 * 1024
_HBA = "local all all scram-sha-256\n"
_STILL_IN_USE = b"shared memory block"

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "512MB",
    "autovacuum_max_workers": "2",
    "max_worker_processes": "4",
    "max_parallel_workers_per_gather": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class PostgresStartError(CannotStartError):
    """PostgreSQL did not start; the message ends with what it said last."""


class Passwords(msgspec.Struct, frozen=True):
    """Generated when the cluster is made, kept in a file of mode 0600."""

    app: str
    owner: str
    admin: str


class EmbeddedPostgres:
    """
    Our own PostgreSQL, reached by a socket in the data directory.

    It outlives a server that is killed, and the next server attaches to it. Should
    PostgreSQL itself die, it is started again. Calls block: use a thread.
    """

    def __init__(
        self, data_dir: Path, *, bin_dir: Path | None = None, durable: bool = True
    ) -> None:
        self._held = DataDirectory(data_dir)
        self._home = self._held.path / "postgres"
        self._cluster = self._home / "data"
        self._log = self._home / "server.log"
        self._bin_dir = bin_dir
        self._durable = durable
        self._account: Account | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._own_sockets: Path | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    @classmethod
    def running(cls, data_dir: Path) -> Self | None:
        """
        Return the PostgreSQL that another process runs for *data_dir*, if one does.

        Only its addresses are for use; it is neither held nor stopped.
        """
        postgres = cls(data_dir)
        return postgres if postgres._status() == "ready" else None

    @property
    def dsn(self) -> str:
        """Where the application connects; its role appends events, never edits."""
        return self.url(DATABASE, role=APP_ROLE)

    @property
    def migration_dsn(self) -> str:
        """Where migrations connect: as the owner of the database."""
        return self.url(DATABASE, role=OWNER_ROLE)

    @property
    def pid(self) -> int | None:
        """The process of PostgreSQL, while it lives."""
        postmaster = self._postmaster()
        return postmaster[0] if postmaster else None

    def url(self, database: str, *, role: str) -> str:
        """Return the address of *database* for *role*, with its password."""
        passwords = self._passwords()
        password = {
            APP_ROLE: passwords.app,
            OWNER_ROLE: passwords.owner,
            ADMIN_ROLE: passwords.admin,
        }[role]
        host = quote(self._socket_dir(), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={host}&port=5432"

    def start(self) -> None:
        """Serve the data directory: make it, attach to it, or start it."""
        self._held.acquire()
        try:
            make_directory(self._home)
            self._account = postgres_binaries.account(owner_of=self._cluster)
            self._clear_stale_pid()
            if self._postmaster() is None and not self._cluster.exists():
                self._make_cluster()
            self._launch()
        except BaseException:
            self._halt()
            self._held.release()
            raise
        self._stopping.clear()
        self._watcher = threading.Thread(
            target=self._watch, name="postgres-watch", daemon=True
        )
        self._watcher.start()

    def stop(self) -> None:
        """Stop PostgreSQL and let another server have the directory."""
        if not self._held.held:
            return
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        self._halt()
        self._held.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self) -> None:
        """Bring PostgreSQL to where it accepts connections."""
        deadline = time.monotonic() + _READY_WITHIN
        said_from = 0
        while (status := self._status()) != "ready":
            if time.monotonic() > deadline:
                raise PostgresStartError(self._why("PostgreSQL is not ready", said_from))
            if self._child is not None and self._child.poll() is not None:
                self._child = None
                # Backends of a killed server need a moment to notice and leave.
                if _STILL_IN_USE not in self._said(said_from):
                    raise PostgresStartError(
                        self._why("PostgreSQL did not start", said_from)
                    )
                time.sleep(0.2)
            if self._child is None and status is None:
                said_from = self._spawn()
            time.sleep(0.02)

    def _spawn(self) -> int:
        binaries = self._binaries()
        if self._log.exists() and self._log.stat().st_size > _LARGEST_LOG:
            self._log.replace(self._log.with_suffix(".log.1"))
        settings = dict(_SETTINGS)
        settings["unix_socket_directories"] = str(self._make_socket_dir())
        if binaries.major >= 18:  # noqa: PLR2004  the first with I/O workers
            settings["io_method"] = "sync"
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        arguments = [f"-c{name}={value}" for name, value in settings.items()]
        with self._log.open("ab") as log:
            said_from = log.tell()
            self._child = self._popen(
                [str(binaries.postgres), "-D", str(self._cluster), *arguments],
                output=log.fileno(),
            )
        return said_from

    def _make_cluster(self) -> None:
        """Make the cluster elsewhere and move it in, so that it is whole or absent."""
        binaries = self._binaries()
        for left_over in self._home.glob("making-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix="making-", dir=self._home))
        self._give(staging)
        cluster = staging / "data"
        passwords = Passwords(*(secrets.token_urlsafe(24) for _ in range(3)))
        write_private(self._home / "passwords.json", msgspec.json.encode(passwords))
        self._run(_initdb(binaries, cluster, durable=self._durable))
        (cluster / "pg_hba.conf").write_text(_HBA)
        self._run(
            [str(binaries.postgres), "--single", "-D", str(cluster), ADMIN_ROLE],
            said="".join(f"{line}\n" for line in _provision(passwords)),
        )
        cluster.rename(self._cluster)
        sync_directory(self._home)
        staging.rmdir()

    def _binaries(self) -> Binaries:
        major = None
        with suppress(FileNotFoundError):
            major = int((self._cluster / "PG_VERSION").read_text())
        binaries = postgres_binaries.find(bin_dir=self._bin_dir, major=major)
        if self._account is None:
            return binaries
        copies = self._home / "binaries"
        copies.mkdir(mode=0o755, exist_ok=True)
        return postgres_binaries.copied(binaries, copies)

    def _popen(
        self, command: list[str], *, output: int, said: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        # Its own session: Ctrl-C is for the server, which then stops it in order.
        account = self._account
        try:
            return subprocess.Popen(
                command,
                stdin=said,
                stdout=output,
                stderr=output,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                start_new_session=True,
            )
        except PermissionError as error:
            who = account.name if account else "this user"
            raise DataDirectoryUnusableError(
                self._held.path,
                f"the database runs as {who}, who may not enter it; choose a directory "
                "that others may enter, such as /var/lib/langbuilder",
            ) from error

    def _run(self, command: list[str], *, said: str = "") -> None:
        with tempfile.TemporaryFile() as heard, tempfile.TemporaryFile() as output:
            heard.write(said.encode())
            heard.seek(0)
            process = self._popen(command, output=output.fileno(), said=heard.fileno())
            code = process.wait()
            output.seek(0)
            words = output.read().decode(errors="replace")
        # A single-user server says FATAL or ERROR and still leaves with 0.
        if code or "FATAL:" in words or "ERROR:" in words:
            raise PostgresStartError(
                f"PostgreSQL could not make its data in {self._cluster}: "
                f"{_last_line(words)}"
            )

    def _watch(self) -> None:
        while not self._stopping.wait(0.5):
            if self._alive():
                continue
            logger.warning("PostgreSQL has died; starting it again")
            try:
                self._child = None
                self._clear_stale_pid()
                self._launch()
            except (CannotStartError, OSError):
                logger.exception("PostgreSQL cannot be started again; trying on")

    def _alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._postmaster() is not None

    def _halt(self) -> None:
        """Stop in order; then less politely."""
        for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            pid = self._child.pid if self._child is not None else self.pid
            if pid is None or not self._alive():
                break
            with suppress(ProcessLookupError):
                os.kill(pid, sign)
            deadline = time.monotonic() + _STOPPED_WITHIN
            while self._alive() and time.monotonic() < deadline:
                time.sleep(0.01)
        self._child = None
        if self._own_sockets is not None:
            shutil.rmtree(self._own_sockets, ignore_errors=True)
            self._own_sockets = None

    def _status(self) -> str | None:
        postmaster = self._postmaster()
        return postmaster[1] if postmaster else None

    def _postmaster(self) -> tuple[int, str] | None:
        """Return the living server's process and status, as it wrote them itself."""
        lines = self._pid_file()
        if not lines or not lines[0].strip().isdigit():
            return None
        pid = int(lines[0])
        if not _serves(pid, self._cluster):
            return None
        return pid, lines[7].strip() if len(lines) > 7 else "starting"  # noqa: PLR2004

    def _pid_file(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []

    def _clear_stale_pid(self) -> None:
        # After a reboot the number may belong to another program, and PostgreSQL,
        # which only asks whether it lives, would refuse to start.
        if self._pid_file() and self._postmaster() is None:
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _socket_dir(self) -> str:
        lines = self._pid_file()
        named = lines[4].strip() if len(lines) > 4 else ""  # noqa: PLR2004
        return named or str(self._own_sockets or self._home / "socket")

    def _make_socket_dir(self) -> Path:
        if self._own_sockets is not None:
            return self._own_sockets
        sockets = self._home / "socket"
        if len(os.fsencode(sockets)) > _LONGEST_SOCKET_DIR:
            sockets = self._own_sockets = Path(tempfile.mkdtemp(prefix="lb-", dir="/tmp"))  # noqa: S108  a short path is the point; mkdtemp makes it private
        sockets.mkdir(mode=0o700, exist_ok=True)
        self._give(sockets)
        return sockets

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.uid, self._account.gid)

    def _passwords(self) -> Passwords:
        return msgspec.json.decode(
            (self._home / "passwords.json").read_bytes(), type=Passwords
        )

    def _said(self, offset: int) -> bytes:
        with self._log.open("rb") as log:
            log.seek(offset)
            return log.read()

    def _why(self, what: str, offset: int) -> str:
        words = self._said(offset).decode(errors="replace")
        return f"{what}: {_last_line(words)} (see {self._log})"


def _initdb(binaries: Binaries, cluster: Path, *, durable: bool) -> list[str]:
    if binaries.major >= 17:  # noqa: PLR2004  the first with its own C.UTF-8
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    else:
        locale = ["--lc-collate=C", "--lc-ctype=C.UTF-8", "--lc-messages=C"]
    return [
        str(binaries.initdb),
        f"--pgdata={cluster}",
        f"--username={ADMIN_ROLE}",
        "--auth=trust",  # replaced before anybody can connect
        "--encoding=UTF8",
        "--data-checksums",
        "--no-instructions",
        *locale,
        *([] if durable else ["--no-sync"]),
    ]


def _provision(passwords: Passwords) -> list[str]:
    """Statements that make the roles and the database; the passwords are ours."""
    return [
        f"ALTER ROLE {ADMIN_ROLE} PASSWORD '{passwords.admin}'",
        f"CREATE ROLE {OWNER_ROLE} LOGIN PASSWORD '{passwords.owner}'",
        f"CREATE ROLE {APP_ROLE} LOGIN PASSWORD '{passwords.app}'",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {DATABASE} TO {APP_ROLE}",
    ]


def _serves(pid: int, cluster: Path) -> bool:
    """Tell whether *pid* lives and is the server of *cluster*."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    proc = Path(f"/proc/{pid}")
    if proc.is_dir():
        with suppress(PermissionError):
            try:
                return (proc / "cwd").readlink() == cluster.resolve()
            except FileNotFoundError:
                return False
    name = subprocess.run(
        ["ps", "-o", "comm=", "-p", str(pid)],  # noqa: S607  ps is wherever it is
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "postgres" in name


def _last_line(words: str) -> str:
    lines = [line for line in words.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
