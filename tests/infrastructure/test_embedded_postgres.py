"""The PostgreSQL we start ourselves: made, attached to, killed and found again."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from infrastructure import postgres_binaries
from infrastructure.data_directory import (
    DataDirectoryInUseError,
    DataDirectoryUnusableError,
)
from infrastructure.embedded_postgres import EmbeddedPostgres
from infrastructure.postgres_binaries import PostgresNotFoundError
from infrastructure.postgres_cluster import PostgresStartError
from tests.servers import directory_for_servers, eventually

pytestmark = [pytest.mark.server, pytest.mark.slow]

AS_ROOT = os.geteuid() == 0
ROOT = Path(__file__).parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    with directory_for_servers() as directory:
        yield directory


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A data directory made once, for the tests that only use one."""
    with directory_for_servers() as directory:
        made = directory / "data"
        with EmbeddedPostgres(made, durable=False):
            pass
        yield made


@pytest.fixture
def data_dir(home: Path, template: Path) -> Path:
    return _copied(template, home / "data")


def _copied(template: Path, copy: Path) -> Path:
    copy.mkdir()
    copy.chmod(template.stat().st_mode)
    # The programs are only read: links will do.
    subprocess.run(["cp", "-al", f"{template}/postgres", f"{copy}/"], check=True)
    shutil.rmtree(copy / "postgres" / "data")
    data = "postgres/data"
    subprocess.run(["cp", "-a", f"{template}/{data}", f"{copy}/{data}"], check=True)
    return copy


def asked(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


@contextmanager
def another_server(data_dir: Path, *, uid: int | None = None) -> Iterator[int]:
    """Serve *data_dir* from another process, which the test may kill."""
    script = f"""
import os, sys, time
from pathlib import Path
from infrastructure.embedded_postgres import EmbeddedPostgres
if {uid!r} is not None:
    os.setgroups([])
    os.setgid({uid!r})
    os.setuid({uid!r})
with EmbeddedPostgres(Path({str(data_dir)!r}), durable=False):
    print("ready", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT / "src"), "PATH": os.environ["PATH"]},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield process.pid
        finally:
            process.kill()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_new_directory_becomes_a_database_with_two_roles(home: Path) -> None:
    with EmbeddedPostgres(home / "new", durable=False) as server:
        assert asked(server.dsn, "SELECT current_user") == "langbuilder"
        assert asked(server.migration_dsn, "SELECT current_user") == "langbuilder_owner"
        asked(server.migration_dsn, "CREATE TABLE public.facts (fact text)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(server.dsn, "SELECT * FROM public.facts")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(server.migration_dsn, "CREATE ROLE another SUPERUSER")


def test_it_listens_on_a_private_socket_only_and_asks_for_the_password(
    data_dir: Path,
) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        assert asked(server.dsn, "SHOW listen_addresses") == ""
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.dsn, password="wrong")
        for private in ("passwords.json", "server.log"):
            mode = (data_dir / "postgres" / private).stat().st_mode
            assert stat.S_IMODE(mode) == 0o600


def test_what_was_stored_is_there_after_a_quick_second_start(data_dir: Path) -> None:
    server = EmbeddedPostgres(data_dir)
    with server:
        asked(server.migration_dsn, "CREATE TABLE facts AS SELECT 'kept' AS fact")
    began = time.monotonic()
    with server:
        took = time.monotonic() - began
        assert asked(server.migration_dsn, "SELECT fact FROM facts") == "kept"
    assert took < 5


def test_it_stops_with_its_server(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, durable=False) as server:
        pid = server.pid
        assert pid is not None

    assert is_gone(pid)
    assert EmbeddedPostgres.running(data_dir) is None


def test_of_two_servers_the_second_is_told_who_the_first_is(data_dir: Path) -> None:
    with (
        EmbeddedPostgres(data_dir, durable=False),
        pytest.raises(DataDirectoryInUseError, match=f"process {os.getpid()}") as told,
    ):
        EmbeddedPostgres(data_dir).start()

    assert told.value.pid == os.getpid()


def test_commands_find_the_database_of_a_running_server(data_dir: Path) -> None:
    with another_server(data_dir):
        found = EmbeddedPostgres.running(data_dir)

        assert found is not None
        assert asked(found.dsn, "SELECT 1") == 1

    with EmbeddedPostgres(data_dir, durable=False):
        pass  # so that it does not stay behind


def test_a_killed_server_leaves_the_database_to_the_next(data_dir: Path) -> None:
    with another_server(data_dir) as server:
        found = EmbeddedPostgres.running(data_dir)
        assert found is not None
        pid = found.pid
        asked(found.migration_dsn, "CREATE TABLE facts AS SELECT 'kept' AS fact")
        os.kill(server, signal.SIGKILL)

    next_server = EmbeddedPostgres(data_dir, durable=False)
    with next_server:
        assert next_server.pid == pid
        assert asked(next_server.migration_dsn, "SELECT fact FROM facts") == "kept"

    assert pid is not None
    assert is_gone(pid)


def test_a_killed_database_is_started_again_and_has_kept_everything(
    data_dir: Path,
) -> None:
    with EmbeddedPostgres(data_dir) as server:
        asked(server.migration_dsn, "CREATE TABLE facts (fact int)")
        for fact in range(3):
            asked(server.migration_dsn, f"INSERT INTO facts VALUES ({fact})")
            first = server.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            counted = eventually(
                lambda: asked(server.migration_dsn, "SELECT count(*) FROM facts"),
                failures=(psycopg.OperationalError,),
            )
            assert counted == fact + 1
            assert server.pid != first


def test_killed_together_with_its_server_it_recovers(data_dir: Path) -> None:
    with another_server(data_dir) as server:
        found = EmbeddedPostgres.running(data_dir)
        assert found is not None
        assert found.pid is not None
        asked(found.migration_dsn, "CREATE TABLE facts AS SELECT 'kept' AS fact")
        os.kill(server, signal.SIGKILL)
        os.kill(found.pid, signal.SIGKILL)

    with EmbeddedPostgres(data_dir, durable=False) as after:
        assert asked(after.migration_dsn, "SELECT fact FROM facts") == "kept"


def test_a_start_that_was_interrupted_leaves_nothing_behind(home: Path) -> None:
    data_dir = home / "data"
    half_made = data_dir / "postgres" / "making-x1" / "data"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    if AS_ROOT:
        for folder in (data_dir, data_dir / "postgres"):
            folder.chmod(0o711)

    with EmbeddedPostgres(data_dir, durable=False) as server:
        assert asked(server.dsn, "SELECT 1") == 1
    assert list((data_dir / "postgres").glob("making-*")) == []


def test_a_process_number_that_another_program_has_now_is_no_hindrance(
    data_dir: Path,
) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lines = [str(stranger.pid), str(data_dir), "0", "5432", "/nowhere", "", "0 0"]
        stale = data_dir / "postgres" / "data" / "postmaster.pid"
        stale.write_text("\n".join([*lines, "ready"]) + "\n")
        _owned_like(stale, stale.parent)

        with EmbeddedPostgres(data_dir, durable=False) as server:
            assert asked(server.dsn, "SELECT 1") == 1
            assert server.pid != stranger.pid
        stranger.kill()


@pytest.mark.parametrize("name", ["x" * 120, "comma, quote ' and \u00fc"])
def test_a_path_no_socket_can_have_is_no_hindrance(
    home: Path, template: Path, name: str
) -> None:
    _copied(template, home / name)

    with EmbeddedPostgres(home / name, durable=False) as server:
        assert asked(server.dsn, "SELECT 1") == 1
        sockets = Path(str(conninfo_to_dict(server.dsn)["host"]))
        assert sockets.is_dir()
    assert not sockets.exists()


def test_data_of_another_version_is_refused(data_dir: Path) -> None:
    (data_dir / "postgres" / "data" / "PG_VERSION").write_text("9\n")

    with pytest.raises(PostgresNotFoundError, match="made by PostgreSQL 9"):
        EmbeddedPostgres(data_dir).start()


def test_a_start_that_fails_says_why_in_one_line(data_dir: Path) -> None:
    (data_dir / "postgres" / "data" / "postgresql.conf").write_text("nonsense = 1\n")

    with pytest.raises(PostgresStartError, match="configuration file") as told:
        EmbeddedPostgres(data_dir).start()

    assert "\n" not in str(told.value)


def test_a_failed_start_lets_go_of_the_directory(data_dir: Path) -> None:
    configuration = data_dir / "postgres" / "data" / "postgresql.conf"
    configuration.write_text("nonsense = 1\n")
    server = EmbeddedPostgres(data_dir, durable=False)
    with pytest.raises(PostgresStartError):
        server.start()
    configuration.write_text("")

    with server:
        assert asked(server.dsn, "SELECT 1") == 1


def test_where_a_file_is_no_directory_can_be(home: Path) -> None:
    (home / "file").write_text("")

    for wrong in (home / "file", home / "file" / "below"):
        with pytest.raises(DataDirectoryUnusableError, match="directory") as told:
            EmbeddedPostgres(wrong).start()
        assert "\n" not in str(told.value)


def test_programs_that_are_not_there_are_named(home: Path) -> None:
    with pytest.raises(PostgresNotFoundError, match="nowhere"):
        EmbeddedPostgres(home / "data", bin_dir=home / "nowhere").start()


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_root_runs_it_as_another_user_and_changes_nobodys_modes(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)

    with pytest.raises(DataDirectoryUnusableError, match=r"may not enter .*closed"):
        EmbeddedPostgres(closed / "data", durable=False).start()

    assert list(closed.iterdir()) == []
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="only root can become somebody else")
def test_an_ordinary_user_can_run_it_too(home: Path) -> None:
    _may_start_our_programs()
    nobody = pwd.getpwnam("nobody").pw_uid
    theirs = home / "theirs"
    theirs.mkdir(mode=0o700)
    os.chown(theirs, nobody, nobody)

    with another_server(theirs / "data", uid=nobody):
        found = EmbeddedPostgres.running(theirs / "data")
        assert found is not None
        assert found.pid is not None
        assert psutil.Process(found.pid).uids().real == nobody
        assert asked(found.dsn, "SELECT 1") == 1
        postgres = found.pid

    os.kill(postgres, signal.SIGINT)
    assert stat.S_IMODE(theirs.stat().st_mode) == 0o700


def _may_start_our_programs() -> None:
    command = [str(postgres_binaries.find().postgres), "--version"]
    try:
        subprocess.run(command, user="nobody", check=True, capture_output=True)
    except PermissionError:
        pytest.skip("PostgreSQL's programs lie where only root may go")


def _owned_like(path: Path, model: Path) -> None:
    owner = model.stat()
    shutil.chown(path, owner.st_uid, owner.st_gid)
