"""A PostgreSQL that is started for one data directory, and stops with its server."""

import logging
import os
import re
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

import psycopg
from psycopg import errors

from infrastructure import postgres_binaries
from infrastructure.data_directory import DataDirectory, make_directory, unusable
from infrastructure.postgres_binaries import Binaries
from infrastructure.postgres_cluster import (
    APP_ROLE,
    DATABASE,
    OWNER_ROLE,
    Passwords,
    PostgresStartError,
    Runner,
    make_cluster,
    reason,
)
from infrastructure.starting import CannotStartError

logger = logging.getLogger(__name__)

_READY_WITHIN = 60.0
_STOPPED_WITHIN = 30.0
_LONGEST_SOCKET_DIR = 80  # the kernel's limit is 104 to 108 with the socket's name
_AWKWARD = re.compile(r"""[\s,'"\\]""").search  # lists of folders, quoted folders
_LARGEST_LOG = 10 * 1024 * 1024
_STILL_IN_USE = b"shared memory block"

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
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

HOME, CLUSTER = "postgres", "data"


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
        self._home = self._held.path / HOME
        self._cluster = self._home / CLUSTER
        self._log = self._home / "server.log"
        self._bin_dir = bin_dir
        self._durable = durable
        self._runner = Runner(self._held.path)
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

    @staticmethod
    def exists(data_dir: Path) -> bool:
        """Say whether *data_dir* has a PostgreSQL, or may not be looked into."""
        try:
            return (data_dir / HOME / CLUSTER).exists()
        except PermissionError:
            return True  # whoever opens it tells what is wrong

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
        password = Passwords.read(self._home).of(role)
        host = quote(self._socket_dir(), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={host}&port=5432"

    def start(self) -> None:
        """Serve the data directory: make it, attach to it, or start it."""
        account = postgres_binaries.account(owner_of=self._cluster)
        self._runner = Runner(self._held.path, account)
        self._runner.check()
        self._held.acquire()
        self._stopping.clear()
        try:
            make_directory(self._home)
            self._adopt()
            self._launch()
        except OSError as error:
            self._give_up()
            raise unusable(self._held.path, error) from error
        except BaseException:
            self._give_up()
            raise
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
        self._give_up()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _adopt(self) -> None:
        """Prepare to attach to what was left running, or to start what was left."""
        if self._postmaster() is not None:
            sockets = Path(self._socket_dir())
            if sockets != self._home / "socket":
                self._own_sockets = sockets
        elif not self._cluster.exists():
            make_cluster(
                self._cluster,
                binaries=self._binaries(),
                runner=self._runner,
                durable=self._durable,
            )

    def _launch(self) -> None:
        """Bring PostgreSQL to where it accepts connections."""
        deadline = time.monotonic() + _READY_WITHIN
        said_from = 0
        while (status := self._status()) != "ready" or not self._answers():
            if self._stopping.is_set() or time.monotonic() > deadline:
                raise PostgresStartError(
                    self._why("PostgreSQL is not ready", said_from)
                )
            if self._child is not None and self._child.poll() is not None:
                self._child = None
                # Backends of a killed server need a moment to notice and leave.
                if _STILL_IN_USE not in self._said(said_from):
                    raise PostgresStartError(
                        self._why("PostgreSQL did not start", said_from)
                    )
                time.sleep(0.2)
            if self._child is None and status is None:
                self._disown_stale_pid()
                said_from = self._spawn()
            time.sleep(0.02)

    def _answers(self) -> bool:
        """Tell whether it is there, for its file says so of a dying one as well."""
        try:
            psycopg.connect(self.dsn, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            # With a code it is the server's own answer, if only that it is full.
            return error.sqlstate not in (None, errors.CannotConnectNow.sqlstate)
        return True

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
        self._log.touch(mode=0o600)
        with self._log.open("ab") as log:
            said_from = log.tell()
            self._child = self._runner.popen(
                [str(binaries.postgres), "-D", str(self._cluster), *arguments],
                output=log.fileno(),
            )
        return said_from

    def _binaries(self) -> Binaries:
        major = None
        with suppress(FileNotFoundError):
            major = int((self._cluster / "PG_VERSION").read_text())
        binaries = postgres_binaries.find(bin_dir=self._bin_dir, major=major)
        if self._runner.account is None:
            return binaries
        return postgres_binaries.copied(binaries, self._home / "binaries")

    def _watch(self) -> None:
        while not self._stopping.wait(0.5):
            if self._alive():
                continue
            logger.warning("PostgreSQL has died; starting it again")
            try:
                self._child = None
                self._launch()
            except (CannotStartError, OSError):
                logger.exception("PostgreSQL cannot be started again; trying on")

    def _alive(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._postmaster() is not None

    def _give_up(self) -> None:
        self._halt()
        self._held.release()

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

    def _disown_stale_pid(self) -> None:
        """Unblock the start when the number in the file is now another program's."""
        # PostgreSQL would take any living process for a server, save its parent: so
        # we write our own number. Deleting the file would be wrong: by its last lines
        # PostgreSQL finds backends that still live and would damage the data.
        lines = self._pid_file()
        if lines and self._postmaster() is None and lines[0].strip().isdigit():
            lines[0] = str(os.getpid())
            with (self._cluster / "postmaster.pid").open("r+") as file:
                file.write("\n".join(lines) + "\n")
                file.truncate()

    def _socket_dir(self) -> str:
        lines = self._pid_file()
        named = lines[4].strip() if len(lines) > 4 else ""  # noqa: PLR2004
        return named or str(self._own_sockets or self._home / "socket")

    def _make_socket_dir(self) -> Path:
        sockets = self._own_sockets or self._home / "socket"
        if len(os.fsencode(sockets)) > _LONGEST_SOCKET_DIR or _AWKWARD(str(sockets)):
            sockets = Path(tempfile.mkdtemp(prefix="lb-", dir="/tmp"))
            self._own_sockets = sockets
        sockets.mkdir(mode=0o700, exist_ok=True)
        self._runner.give(sockets)
        # Left by a killed server, and ours alone, for we hold the data directory. The
        # number in it may be another program's by now, or a zombie's nobody buries.
        for left_over in sockets.glob(".s.PGSQL.*"):
            left_over.unlink()
        return sockets

    def _said(self, offset: int) -> bytes:
        with self._log.open("rb") as log:
            log.seek(offset)
            return log.read()

    def _why(self, what: str, offset: int) -> str:
        words = self._said(offset).decode(errors="replace")
        return f"{what}: {reason(words)} (see {self._log})"


def _serves(pid: int, cluster: Path) -> bool:
    """Tell whether *pid* lives and is the server of *cluster*."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False  # gone, or another user's
    proc = Path(f"/proc/{pid}")
    if proc.is_dir():
        try:
            return (proc / "cwd").readlink() == cluster.resolve()
        except OSError:
            return False
    name = subprocess.run(  # noqa: S603  our own command
        ["ps", "-o", "comm=", "-p", str(pid)],  # noqa: S607  ps is wherever it is
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return "postgres" in name
