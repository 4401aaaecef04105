"""What an operator does about people who leave, and about a secret that got out."""

import secrets

import pytest

from tests.journeys.running import Running, running, signed_in
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_person_leaves_and_the_secret_is_changed_beside_the_server() -> None:
    with directory_for_servers() as home:
        with running(home) as server:
            _erases(server)
            _rotates(server)
            server.stop()
        secret = home / "data" / "secret_key"
        good = secret.read_text()
        with running(home) as again:
            finished = again.command("keys", "rotate", "--finish")
            assert finished.returncode == 0, finished.stderr
            assert not secret.with_name("secret_key.previous").exists()
            with signed_in(again, server.username, server.password) as client:
                assert client.get("/api/v1/users/whoami").status_code == 200
            again.stop()
        secret.write_text(secrets.token_urlsafe(48))
        refused = again.command("users", "list")
        secret.write_text(good)

    [said] = refused.stderr.strip().splitlines()
    assert refused.returncode == 1
    assert "was sealed with the secret key" in said
    assert "LANGBUILDER_PREVIOUS_SECRET_KEY" in said


def _erases(server: Running) -> None:
    assert server.command("users", "create", "eve").returncode == 0
    nobody = server.command("users", "erase", "mallory", "--yes")
    unsure = server.command("users", "erase", "eve")
    gone = server.command("users", "erase", "eve", "--yes")
    again = server.command("users", "erase", "eve", "--yes")

    assert nobody.returncode == 1
    assert "nobody called mallory" in nobody.stderr
    assert unsure.returncode == 1
    assert gone.returncode == 0, gone.stderr
    assert "Erased eve." in gone.stdout
    assert again.returncode == 1
    assert [user["username"] for user in server.ask("users", "list")] == ["langbuilder"]
    assert server.command("users", "create", "eve").returncode == 0
    assert server.command("events", "verify").returncode == 0


def _rotates(server: Running) -> None:
    [before] = server.ask("keys", "status")
    with signed_in(server, server.username, server.password) as client:
        [rotated] = server.ask("keys", "rotate")
        [after] = server.ask("keys", "status")
        # The server beside goes on, and knows its own tokens and everybody's keys.
        assert client.get("/api/v1/users/whoami").status_code == 200
        new = {"name": "flow", "data": {"nodes": [], "edges": []}}
        assert client.post("/api/v1/flows/", json=new).status_code == 201
        joined = {"username": "bob", "password": "correct horse battery"}
        assert client.post("/api/v1/users/", json=joined).status_code == 201

    assert rotated["after"] == after["key_id"] != before["key_id"]
    assert after["current"] is True
    assert {one["key_id"] for one in server.ask("keys", "status")} == {after["key_id"]}
    assert server.command("events", "verify").returncode == 0
    [event] = server.ask("events", "tail", "--tag", "operation.master_key_rotated")
    assert event["data"] == {
        "before": before["key_id"],
        "after": after["key_id"],
        "keys": sum(rotated["before"].values()),
    }
