"""What an operator does about people who leave, and about a secret that got out."""

import secrets

import httpx
import pytest

from tests.journeys.running import Running, running, signed_in
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]


def test_a_person_leaves_and_the_secret_is_changed_beside_the_server() -> None:
    with directory_for_servers() as home:
        with running(home) as server:
            _erases(server)
            flow, key = _defines(server)
            _rotates(server)
            assert _sender(server, flow, key) == "before the change"
            server.stop()
        secret = home / "data" / "secret_key"
        good = secret.read_text()
        with running(home) as again:
            finished = again.command("keys", "rotate", "--finish")
            assert finished.returncode == 0, finished.stderr
            assert not secret.with_name("secret_key.previous").exists()
            with signed_in(again, server.username, server.password) as client:
                assert client.get("/api/v1/users/whoami").status_code == 200
                listed = client.get("/api/v1/api_key/").json()["api_keys"]
                # The first server wrote what it had counted before it ended.
                assert [one["total_uses"] for one in listed] == [1]
                [variable] = client.get("/api/v1/variables/").json()
                assert variable["value"] == "before the change"
            assert _sender(again, flow, key) == "before the change"
            again.stop()
        secret.write_text(secrets.token_urlsafe(48))
        refused = again.apart("users", "list")
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


def _defines(server: Running) -> tuple[str, str]:
    """Make a flow whose answer bears a variable's value as its sender, and a key."""
    with signed_in(server, server.username, server.password) as client:
        variable = {"name": "WHO", "value": "before the change", "type": "Generic"}
        assert client.post("/api/v1/variables/", json=variable).status_code == 201
        flows = client.get("/api/v1/flows/", params={"get_all": True}).json()
        flow = next(one for one in flows if one["name"] == "Words in a Template")
        for node in flow["data"]["nodes"]:
            if node["data"]["type"] == "ChatOutput":
                named = {"value": "WHO", "load_from_db": True}
                node["data"]["node"]["template"]["sender_name"] |= named
        changed = client.patch(
            f"/api/v1/flows/{flow['id']}", json={"data": flow["data"]}
        )
        assert changed.status_code == 200, changed.text
        key = client.post("/api/v1/api_key/", json={"scopes": ["run"]}).json()
    return str(flow["id"]), str(key["api_key"])


def _sender(server: Running, flow: str, key: str) -> str:
    answer = httpx.post(
        f"{server.address}/api/v1/run/{flow}",
        json={"input_value": "who?"},
        headers={"x-api-key": key},
        timeout=30,
    )
    assert answer.status_code == 200, answer.text
    [output] = answer.json()["outputs"][0]["outputs"]
    return str(output["results"]["message"]["sender_name"])


def _rotates(server: Running) -> None:
    [before] = server.ask("keys", "status")
    with signed_in(server, server.username, server.password) as client:
        [rotated] = server.ask("keys", "rotate", apart=True)
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
