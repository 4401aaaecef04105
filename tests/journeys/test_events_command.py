"""What people type to find events: in tables, as JSON, in files, and as of then."""

import gzip
import json
import os
import pty
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from tests.journeys.running import (
    COMMAND,
    Running,
    environment,
    home_and_server,
    signed_in,
)

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(120)]

ESCAPE = "\x1b["


@pytest.fixture(scope="module")
def flow(server: Running) -> str:
    """A flow that was renamed twice, each time by a command of its own."""
    with signed_in(server, server.username, server.password) as client:
        made = client.post("/api/v1/flows/", json={"name": "One", "data": None}).json()
        for name in ("Two", "Three"):
            client.patch(f"/api/v1/flows/{made['id']}", json={"name": name})
    return str(made["id"])


def refused(server: Running, *arguments: str) -> str:
    """Return the one line in which a command was refused."""
    answer = server.command("events", *arguments)
    assert (answer.returncode, answer.stdout) == (1, "")
    [line] = answer.stderr.strip().splitlines()
    return line


def test_events_are_found_by_what_is_known_of_them(server: Running, flow: str) -> None:
    def found(*arguments: str) -> list[dict[str, Any]]:
        return server.ask("events", "tail", "--stream", flow, *arguments)

    created, *renamed = found()

    assert [one["version"] for one in (created, *renamed)] == [1, 2, 3]
    assert {one["tag"] for one in renamed} == {"flow.renamed"}
    assert found("--tag", "flow.renamed") == renamed
    assert found("--tag", "flow.", "-n", "1") == renamed[-1:]
    assert found("--tag", "run.") == []
    assert found("--actor", server.username) == [created, *renamed]
    assert found("--actor", created["metadata"]["actor"]) == [created, *renamed]
    assert found("--actor", "system") == []
    for key in ("command", "correlation"):
        of = renamed[0]["metadata"][f"{key}_id"]
        assert found(f"--{key}", of) == renamed[:1]
    assert found("--since", "1h", "--until", created["at"]) == []
    assert found("--since", renamed[1]["at"]) == renamed[1:]
    assert found("--log", "core", "--after", str(created["position"])) == renamed
    assert found("--log", "core", "--upto", str(created["position"])) == [created]
    assert found("--log", "runs") == []


def test_a_stream_is_shown_by_the_beginning_of_its_id(
    server: Running, flow: str
) -> None:
    lines = server.command("events", "show", flow[:10]).stdout.splitlines()

    assert len(lines) == 3
    assert all(flow in line for line in lines)
    assert '{"name":"Three"}' in lines[-1]


def test_a_stream_is_shown_as_it_was(server: Running, flow: str) -> None:
    def name(as_of: str) -> str:
        [state] = server.ask("events", "show", flow, "--at", as_of)
        assert state["kind"] == "flow"
        return str(state["state"]["name"])

    first, second, third = server.ask("events", "show", flow)

    assert [name(at) for at in ("1", "2", "3")] == ["One", "Two", "Three"]
    moments = [name(one["at"]) for one in (first, second, third)]
    assert moments == ["One", "Two", "Three"]
    assert name("0s") == "Three"
    shown = server.command("events", "show", flow, "--at", "2").stdout
    assert shown.startswith(f"flow {flow}, version 2, recorded 20")
    assert '"name": "Two"' in shown


def test_what_cannot_be_meant_is_refused_in_a_line(server: Running, flow: str) -> None:
    assert "it ends at 3" in refused(server, "show", flow, "--at", "4")
    assert "it begins at 1" in refused(server, "show", flow, "--at", "0")
    assert "A moment is like" in refused(server, "show", flow, "--at", "soon")
    assert "it begins on 20" in refused(server, "show", flow, "--at", "1999-01-01")
    assert "first four digits" in refused(server, "show", "abc")
    assert "A tag is like" in refused(server, "tail", "--tag", "renamed")
    assert "A moment is like" in refused(server, "tail", "--since", "yesterday")
    assert "nobody of that name" in refused(server, "tail", "--actor", "Mx. Unknown")
    assert "say --log" in refused(server, "tail", "--upto", "7")


def test_an_export_is_whole_and_in_the_order_of_each_log(
    server: Running, flow: str, tmp_path: Path
) -> None:
    plain, packed = tmp_path / "all.jsonl", tmp_path / "flows.jsonl.gz"

    done = server.command("events", "export", "--out", str(plain))
    server.command("events", "export", "--out", str(packed), "--stream", flow)

    lines = [json.loads(line) for line in plain.read_text("utf-8").splitlines()]
    assert f"{len(lines)} events" in done.stdout
    assert ESCAPE not in done.stdout + done.stderr
    for log in ("core", "runs"):
        places = [one["position"] for one in lines if one["log"] == log]
        assert places == sorted(places)
    with gzip.open(packed, "rt", encoding="utf-8") as file:
        of_flow = [json.loads(line) for line in file]
    assert of_flow == [one for one in lines if one["stream"] == flow]
    assert len(of_flow) == 3
    assert server.password not in plain.read_text("utf-8")
    assert sorted(one.name for one in tmp_path.iterdir()) == [plain.name, packed.name]
    assert packed.stat().st_mode & 0o077 == 0


def test_an_export_replaces_no_file_unasked(server: Running, tmp_path: Path) -> None:
    out = tmp_path / "kept.jsonl"
    out.write_text("kept")

    line = refused(server, "export", "--out", str(out))
    nowhere = refused(server, "export", "--out", str(tmp_path / "no" / "x.jsonl"))

    assert "--overwrite" in line
    assert out.read_text() == "kept"
    assert "cannot be written" in nowhere
    server.command("events", "export", "--out", str(out), "--overwrite")
    assert out.read_text("utf-8").startswith('{"log":"core","position":1,')


def test_on_a_terminal_there_are_colours_and_short_ids(
    server: Running, flow: str
) -> None:
    ours, theirs = pty.openpty()
    shown = subprocess.Popen(
        [COMMAND, "events", "show", flow],
        cwd=server.home,
        env=environment(data_dir=str(server.home / "data"))
        | {"COLUMNS": "100", "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
    )
    os.close(theirs)
    assert shown.wait(timeout=60) == 0
    text = os.read(ours, 65_536).decode()
    os.close(ours)

    assert "TIME (UTC)" in text
    assert ESCAPE in text
    assert flow[:8] in text
    assert flow not in text


class Following:
    """Somebody who follows events in a process of its own, until Ctrl+C."""

    def __init__(self, server: Running, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [COMMAND, "events", "tail", "-f", "--json", *arguments],
            cwd=server.home,
            env=environment(data_dir=str(server.home / "data")),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._complaints = b""

    def line(self, *, within: float) -> dict[str, Any]:
        """Return the next event that is printed."""
        out = self._process.stdout
        assert out is not None
        ready, _, _ = select.select([out], [], [], within)
        assert ready, "nothing was heard"
        line: dict[str, Any] = json.loads(out.readline())
        return line

    def stop(self) -> tuple[int, bytes]:
        """Press Ctrl+C; return the exit code, and what was complained of."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            _, self._complaints = self._process.communicate(timeout=20)
        return self._process.returncode, self._complaints


@contextmanager
def following(server: Running, *arguments: str) -> Iterator[Following]:
    follows = Following(server, *arguments)
    try:
        yield follows
    finally:
        follows.stop()


def test_who_follows_sees_events_as_they_come(server: Running, flow: str) -> None:
    with following(server, "-n", "1", "--stream", flow) as follows:
        first = follows.line(within=30)
        with signed_in(server, server.username, server.password) as client:
            client.patch(f"/api/v1/flows/{flow}", json={"name": "Four"})
        second = follows.line(within=5)
        ended = follows.stop()

    assert second["data"] == {"name": "Four"}
    assert second["version"] == first["version"] + 1
    assert ended == (0, b"")


def test_who_follows_goes_on_when_every_connection_was_cut() -> None:
    with home_and_server() as own, following(own, "-n", "1") as follows:
        follows.line(within=30)
        running = EmbeddedPostgres.running(own.home / "data")
        assert running is not None
        with psycopg.connect(running.dsn, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = current_user AND pid <> pg_backend_pid()"
            )
        made = own.command("users", "create", "ada")
        assert made.returncode == 0, made.stderr

        heard = follows.line(within=20)
        code, _ = follows.stop()

    assert heard["tag"] == "user.registered"
    assert heard["data"]["username"] == "ada"
    assert code == 0
