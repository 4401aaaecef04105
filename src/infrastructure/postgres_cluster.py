"""How a PostgreSQL cluster is made: whole or not at all, with roles and passwords."""

import os
import re
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from infrastructure.data_directory import (
    DataDirectoryUnusableError,
    sync_directory,
    write_private,
)
from infrastructure.postgres_binaries import Account, Binaries
from infrastructure.starting import CannotStartError

DATABASE = "langbuilder"
APP_ROLE = "langbuilder"
OWNER_ROLE = "langbuilder_owner"
ADMIN_ROLE = "postgres"

_PASSWORDS = "passwords.json"
_HBA = "local all all scram-sha-256\n"


class PostgresStartError(CannotStartError):
    """PostgreSQL did not start; the message ends with what it said last."""


class Passwords(msgspec.Struct, frozen=True):
    """Generated when the cluster is made, kept in a file of mode 0600."""

    app: str
    owner: str
    admin: str

    @classmethod
    def read(cls, home: Path) -> "Passwords":
        """Read the passwords of the cluster in *home*."""
        return msgspec.json.decode((home / _PASSWORDS).read_bytes(), type=cls)

    def of(self, role: str) -> str:
        """Return the password of *role*."""
        return {
            APP_ROLE: self.app,
            OWNER_ROLE: self.owner,
            ADMIN_ROLE: self.admin,
        }[role]


class Runner(msgspec.Struct, frozen=True):
    """Runs PostgreSQL's programs as *account*, or as ourselves, on *data_dir*."""

    data_dir: Path
    account: Account | None = None

    def check(self) -> None:
        """Refuse a data directory that the account may not enter."""
        if self.account and (closed := self.account.barred_by(self.data_dir)):
            who = self.account.name
            raise DataDirectoryUnusableError(
                self.data_dir,
                f"the database runs as {who}, who may not enter {closed}; choose one "
                "that others may enter, such as /var/lib/langbuilder",
            )

    def give(self, path: Path) -> None:
        """Let *path* belong to the user who runs the programs."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def popen(
        self, command: list[str], *, output: int, said: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start *command*, without our environment, which may hold secrets."""
        account = self.account
        # Its own session: Ctrl-C is for the server, which then stops it in order.
        try:
            return subprocess.Popen(  # noqa: S603  our own command
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
            who = f" as {account.name}" if account else ""
            raise PostgresStartError(f"May not run {command[0]}{who}.") from error

    def run(self, command: list[str], *, said: str = "") -> None:
        """Run *command* to its end, and raise what went wrong."""
        with tempfile.TemporaryFile() as heard, tempfile.TemporaryFile() as output:
            heard.write(said.encode())
            heard.seek(0)
            process = self.popen(command, output=output.fileno(), said=heard.fileno())
            code = process.wait()
            output.seek(0)
            words = output.read().decode(errors="replace")
        # A single-user server says FATAL or ERROR and still leaves with 0.
        if code or "FATAL:" in words or "ERROR:" in words:
            raise PostgresStartError(
                f"{Path(command[0]).name} could not make the database: {reason(words)}"
            )


def make_cluster(
    place: Path, *, binaries: Binaries, runner: Runner, durable: bool
) -> None:
    """Make the cluster beside *place* and move it in: it is whole or absent."""
    home = place.parent
    for left_over in home.glob("making-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix="making-", dir=home))
    runner.give(staging)
    cluster = staging / place.name
    passwords = Passwords(*(secrets.token_urlsafe(24) for _ in range(3)))
    write_private(home / _PASSWORDS, msgspec.json.encode(passwords))
    runner.run(_initdb(binaries, cluster, durable=durable))
    (cluster / "pg_hba.conf").write_text(_HBA)
    runner.run(
        [str(binaries.postgres), "--single", "-D", str(cluster), ADMIN_ROLE],
        said="".join(f"{line}\n" for line in _provision(passwords)),
    )
    cluster.rename(place)
    sync_directory(home)
    staging.rmdir()


def reason(words: str) -> str:
    """Return the line of PostgreSQL's *words* that says what went wrong."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    bad = [line for line in lines if re.search(r"\b(FATAL|PANIC|ERROR|error):", line)]
    return (bad or lines or ["it said nothing"])[-1]


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
