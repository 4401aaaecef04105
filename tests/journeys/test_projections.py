"""What an operator types about read tables, beside a server that serves."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import httpx
import psycopg
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from projections.checkpoints import lock_key
from tests.journeys.running import COMMAND, Running, environment, signed_in
from tests.servers import eventually

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]


def dsn(server: Running) -> str:
    found = EmbeddedPostgres.running(server.home / "data")
    assert found is not None
    return found.dsn


@contextmanager
def disliked(server: Running, name: str) -> Iterator[None]:
    """Let the table of projects refuse a name."""
    [live] = [
        one
        for one in server.ask("projections", "status")
        if (one["name"], one["state"]) == ("projects", "live")
    ]
    table = f"rm_projects_v{live['generation']}.projects"
    with psycopg.connect(dsn(server), autocommit=True) as connection:
        connection.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT disliked CHECK (name <> '{name}')"
        )
        yield
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT disliked")


def parked(server: Running, client: httpx.Client, name: str) -> str:
    """Make a project of that name, and return the letter that it ends as."""
    made = client.post("/api/v1/projects/", json={"name": name}).json()

    def found() -> str:
        [letter] = [
            one["letter"]
            for one in server.ask("projections", "dead-letters", "list", "projects")
            if one["stream"] == made["id"]
        ]
        return str(letter)

    return eventually(found, failures=(ValueError,), within=20)


def test_the_status_names_who_leads_and_how_each_does(server: Running) -> None:
    told = server.ask("projections", "status")
    shown = server.apart("projections", "status").stdout

    live = [one for one in told if one["state"] == "live"]
    assert {one["leader"].rpartition(":")[2] for one in live} == {str(server.pid)}
    assert {one["health"] for one in live} <= {"level", "lagging"}
    assert all(word in shown for word in ("GENERATION", "HEALTH", "level", "users"))
    assert "\x1b" not in shown


def test_tables_are_made_anew_and_those_before_served_again(server: Running) -> None:
    # Other tests rebuild things on this server, too.
    [last] = server.ask("events", "tail", "-n", "1", "--log", "core")
    made = server.ask("projections", "rebuild", "variables", "api_keys")
    back = server.ask("projections", "swap", "--back", "variables")
    idle = server.command("projections", "cancel", "variables")
    never = server.command("projections", "swap", "--back", "messages")

    ended = {one["projection"]: one for one in made if "generation" in one}
    assert ended.keys() == {"variables", "api_keys"}
    assert [one["generation"] for one in back if "generation" in one] == [
        ended["variables"]["generation"] - 1
    ]
    assert (idle.returncode, never.returncode) == (1, 1)
    assert "not being rebuilt" in idle.stderr
    assert "No generation" in never.stderr
    since = ("--log", "core", "--after", str(last["position"]))
    tags = [one["tag"] for one in server.ask("events", "tail", *since)]
    assert tags.count("operation.projection_rebuilt") == 2
    assert tags.count("operation.projection_swapped_back") == 1


def test_ctrl_c_stops_a_rebuild_which_goes_on_later(server: Running) -> None:
    with psycopg.connect(dsn(server), autocommit=True) as connection:
        # Whoever holds this keeps the rebuild from writing its first page.
        key = lock_key("users")
        connection.execute("SELECT pg_advisory_lock(%s)", (key,))
        [(before,)] = connection.execute("SELECT clock_timestamp()")
        with subprocess.Popen(
            [COMMAND, "projections", "rebuild", "users"],
            cwd=server.home,
            env=environment(data_dir=str(server.home / "data")),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as rebuild:

            def begun() -> None:
                # Of a connection since then: the server may have to wait as well.
                cursor = connection.execute(
                    "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)"
                    " WHERE locktype = 'advisory' AND NOT granted"
                    " AND mode = 'ShareLock' AND backend_start > %s",
                    (before,),
                )
                assert cursor.fetchall()

            eventually(begun, failures=(AssertionError,), within=30)
            rebuild.send_signal(signal.SIGINT)
            _, said = rebuild.communicate(timeout=30)
    states = {one["state"] for one in server.ask("projections", "status")}
    [made] = [
        one
        for one in server.ask("projections", "rebuild", "users")
        if "generation" in one
    ]

    assert rebuild.returncode == 1
    assert len(said.strip().splitlines()) == 1
    assert said.startswith("Error: Stopped. What is served is as it was;")
    assert "interrupted" in states
    assert made["events"] > 0


def test_parked_events_are_listed_shown_retried_and_skipped(server: Running) -> None:
    letters = ("projections", "dead-letters")
    name = f"disliked {uuid4().hex[:8]}"
    with (
        signed_in(server, server.username, server.password) as client,
        disliked(server, name),
    ):
        letter = parked(server, client, name)
        (shown,) = server.ask(*letters, "show", letter)
        table = server.command(*letters, "list").stdout
        failed = server.command(*letters, "retry", letter)
        rehearsed = server.ask(*letters, "retry", "--all", "--dry-run")
    (retried,) = server.ask(*letters, "retry", "--all", "--of", "projects", "--yes")
    gone = server.command(*letters, "retry", letter)

    assert shown["event"]["name"] == name
    assert shown["reason"].startswith("CheckViolation")
    assert letter in table
    assert failed.returncode == 1
    assert "CheckViolation" in failed.stdout
    assert [one["letter"] for one in rehearsed] == [letter]
    assert (retried["taken"], retried["stuck"]) == (1, None)
    assert gone.returncode == 1

    name = f"unwanted {uuid4().hex[:8]}"
    with (
        signed_in(server, server.username, server.password) as client,
        disliked(server, name),
    ):
        letter = parked(server, client, name)
        unfounded = server.command(*letters, "skip", letter)
        (skipped,) = server.ask(*letters, "skip", letter, "--reason", "A test.")
        again = client.post("/api/v1/projects/", json={"name": "welcome"})
        listed = client.get("/api/v1/projects/").text

    assert unfounded.returncode == 2
    assert skipped["stuck"] is None
    assert again.status_code == 201
    assert "welcome" in listed
    assert server.ask(*letters, "list") == []
