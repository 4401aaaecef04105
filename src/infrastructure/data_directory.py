"""The directory that holds everything a single machine keeps, held by one server."""

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from infrastructure.starting import CannotStartError

_LOCK = "server.lock"


class DataDirectoryUnusableError(CannotStartError):
    """The data directory cannot be written to."""

    def __init__(self, directory: Path, why: str) -> None:
        super().__init__(f"Cannot use the data directory {directory}: {why}.")
        self.directory = directory


class DataDirectoryInUseError(CannotStartError):
    """Another server that is still running uses this data directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"The data directory {directory} is in use by {who}; stop it first, "
            "or choose another with --data-dir."
        )
        self.directory = directory
        self.pid = pid


class DataDirectory:
    """
    A data directory, and the lock that says whose it is.

    The lock is the kernel's (``flock``), so it ends with its process, however that
    ends; the process id in the file is only for the message.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock: int | None = None

    def acquire(self) -> Self:
        """Make the directory if needed, and hold it until `release`."""
        make_directory(self.path)
        try:
            lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise unusable(self.path, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0)
            os.close(lock)
            pid = int(holder) if holder.strip().isdigit() else None
            raise DataDirectoryInUseError(self.path, pid) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d" % os.getpid(), 0)
        self._lock = lock
        return self

    def release(self) -> None:
        """Let another server have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def held(self) -> bool:
        """Tell whether this object holds the directory."""
        return self._lock is not None


def make_directory(path: Path) -> None:
    """
    Make *path* private, or check that an existing one can be written to.

    Root's may be entered, not listed, by others, for the database runs as another
    user there. The modes of what exists already are somebody else's business.
    """
    try:
        path.mkdir(parents=True)
        path.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except FileExistsError:
        if not path.is_dir():
            raise DataDirectoryUnusableError(path, "it is not a directory") from None
    except OSError as error:
        raise unusable(path, error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise DataDirectoryUnusableError(path, "permission denied")


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """
    Write *data* so that only its owner reads it, whole or not at all, durably.

    Without *replace*, what somebody else has made of *path*, perhaps just now, stays.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                temporary.replace(path)
            else:
                with suppress(FileExistsError):
                    path.hardlink_to(temporary)
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise unusable(path.parent, error) from error


def sync_directory(path: Path) -> None:
    """Make renames and new names in *path* durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def unusable(path: Path, error: OSError) -> DataDirectoryUnusableError:
    """Say in one line what the system said of *path*."""
    return DataDirectoryUnusableError(path, (error.strerror or str(error)).lower())
