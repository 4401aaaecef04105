"""What an operator types: the first start, refusals, crashes, and a look inside."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import httpx
import psutil
import pytest

from tests.api.conftest import timeless
from tests.journeys.running import Running, command, home_and_server, running, signed_in
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(120)]

COMMANDS = (
    *("archives", "doctor", "events", "keys", "migrate", "projections", "retention"),
    *("run", "users"),
)
HEAVY = ("litestar", "langchain_core", "mcp", "psycopg", "redis", "sqlalchemy")


@pytest.fixture
def home() -> Iterator[Path]:
    with directory_for_servers() as path:
        yield path


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_it_tells_its_version_and_its_commands(tmp_path: Path) -> None:
    told = command("--version", cwd=tmp_path)
    helped = command("--help", cwd=tmp_path)

    assert version("langbuilder-eventsourced") in told.stdout
    assert all(name in helped.stdout for name in COMMANDS)


def test_help_is_told_without_what_serving_needs() -> None:
    code = (
        "import sys; from api.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert told.stdout.splitlines()[-1] == "[]"


def test_a_wrong_setting_stops_the_start_with_its_name_and_an_example(
    tmp_path: Path,
) -> None:
    refused = command("run", cwd=tmp_path, vertex_timeout_seconds="soon")

    said = one_line(refused.stderr)
    assert refused.returncode == 2
    assert "LANGBUILDER_VERTEX_TIMEOUT_SECONDS" in said
    assert "'soon'" in said
    assert "LANGBUILDER_VERTEX_TIMEOUT_SECONDS=600" in said


def test_a_setting_in_a_dotenv_file_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LANGBUILDER_STORAGE=tape\n")

    refused = command("run", cwd=tmp_path)

    assert refused.returncode == 2
    assert "LANGBUILDER_STORAGE" in one_line(refused.stderr)


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        refused = command("run", "--port", port, cwd=tmp_path, data_dir="data")

    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in one_line(refused.stderr)
    assert "in use" in refused.stderr
    assert not (tmp_path / "data").exists()


def test_a_data_directory_that_is_none_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    refused = command("run", "--port", "0", "--data-dir", str(file), cwd=tmp_path)

    assert refused.returncode == 1
    assert str(file) in one_line(refused.stderr)


def test_looking_into_a_directory_with_nothing_in_it_makes_nothing(
    tmp_path: Path,
) -> None:
    nowhere = tmp_path / "mistyped"

    refused = command("events", "tail", cwd=tmp_path, data_dir=str(nowhere))

    assert refused.returncode == 1
    assert str(nowhere) in one_line(refused.stderr)
    assert not nowhere.exists()


def test_an_unreachable_database_is_said_in_one_line(tmp_path: Path) -> None:
    refused = command(
        *("run", "--port", "0"),
        cwd=tmp_path,
        data_dir=str(tmp_path / "data"),
        database_url="postgresql://nobody:hidden-word@127.0.0.1:1/nothing",
    )

    assert refused.returncode == 1
    assert "127.0.0.1" in one_line(refused.stderr)
    assert "hidden-word" not in refused.stderr


def test_a_second_server_on_the_same_data_names_the_first(server: Running) -> None:
    refused = command(
        *("run", "--port", "0", "--data-dir", str(server.home / "data")),
        cwd=server.home,
    )

    assert refused.returncode == 1
    assert str(server.pid) in one_line(refused.stderr)
    assert httpx.get(f"{server.address}/health").json() == {"status": "ok"}


def test_the_first_start_tells_how_to_sign_in_and_no_other_does() -> None:
    with home_and_server() as first:
        link, name, password = first.link, first.username, first.password
        assert str(first.home / "data") in first.words
        assert first.words.count(password) == 1
        token = link.rpartition("/")[2]
        url = f"{first.address}/api/v1/login/link"
        assert httpx.post(url, json={"token": token}).status_code == 200
        assert httpx.post(url, json={"token": token}).status_code == 401
        first.stop()

        with running(first.home) as second:
            assert password not in second.words
            assert "sign in" not in second.words
            with signed_in(second, name, password) as client:
                assert client.get("/api/v1/users/whoami").status_code == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_in_five_seconds_and_its_database_with_it(
    home: Path, number: signal.Signals
) -> None:
    with running(home) as server:
        children = psutil.Process(server.pid).children(recursive=True)
        with httpx.stream("GET", f"{server.address}/health"):
            took = server.stop(number)

    assert took < 5
    assert server.ended_with == 0
    assert not [child for child in children if child.is_running()]


def test_a_killed_server_is_found_again_with_everything_in_it(home: Path) -> None:
    with running(home) as first:
        name, password = first.username, first.password
        with signed_in(first, name, password) as client:
            made = client.post("/api/v1/flows/", json={"name": "Kept", "data": None})
        assert made.status_code == 201, made.text
        flow = made.json()
        first.kill()

    with running(home) as second:
        with signed_in(second, name, password) as client:
            found = client.get(f"/api/v1/flows/{flow['id']}")
        tags = [
            event["tag"]
            for event in second.ask("events", "show", flow["id"], apart=True)
        ]

    assert timeless(found.json()) == timeless(flow)
    assert tags == ["flow.created"]


def test_the_logs_can_be_read_beside_a_running_server(server: Running) -> None:
    events = server.ask("events", "tail", "--log", "core", "--count", "500", apart=True)

    assert [event["tag"] for event in events][:1] == ["user.registered"]
    assert "project.opened" in {event["tag"] for event in events}
    assert server.password not in str(events)
    unknown = server.apart("events", "show", str(UUID(int=0)))
    assert unknown.returncode == 1
    assert "There is no such stream" in one_line(unknown.stderr)


def test_projections_tell_how_they_stand_and_are_made_anew(server: Running) -> None:
    before = server.ask("projections", "status", apart=True)

    rebuilt = server.apart("projections", "rebuild", "users")
    strange = server.apart("projections", "rebuild", "nothing")

    assert {"users", "flows", "runs"} <= {one["name"] for one in before}
    assert all(one["dead_letters"] == 0 for one in before)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "\x1b" not in rebuilt.stdout + rebuilt.stderr
    assert strange.returncode == 1
    assert "users" in one_line(strange.stderr)
    with signed_in(server, server.username, server.password) as client:
        assert client.get("/api/v1/users/whoami").status_code == 200


def test_a_user_added_by_the_operator_can_sign_in(server: Running) -> None:
    (made,) = server.ask("users", "create", "ada", apart=True)

    with signed_in(server, "ada", made["password"]) as client:
        assert client.get("/api/v1/users/whoami").json()["id"] == made["id"]
    assert {"ada", server.username} <= {
        user["username"] for user in server.ask("users", "list", apart=True)
    }


def test_the_doctor_finds_a_running_server_well(server: Running) -> None:
    findings = {one["subject"]: one for one in server.ask("doctor", apart=True)}

    assert findings["settings"]["state"] == "good"
    assert findings["database"]["state"] == "good"
    assert {one["state"] for one in findings.values()} <= {"good", "doubtful"}


def test_the_commands_work_without_a_server(home: Path) -> None:
    data = str(home / "data")

    migrated = command("migrate", cwd=home, data_dir=data)
    made = command("users", "create", "grace", cwd=home, data_dir=data)
    listed = command("users", "list", cwd=home, data_dir=data)

    assert migrated.returncode == 0, migrated.stderr
    assert made.returncode == 0, made.stderr
    assert "grace" in listed.stdout
