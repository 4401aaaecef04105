"""The server is killed at any moment, and what it had acknowledged is all there."""

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.journeys.running import Running, running, signed_in
from tests.servers import directory_for_servers, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(1800)]

SECONDS = float(os.environ.get("CHAOS_SECONDS", "60"))
CLIENTS = 4
KILLS = 3
RUNS = 50
ENDED_WITHIN = 120.0
FLOWS = ("Words in a Template", "Chat with a Memory", "Basic Prompting")


class Promises:
    """What the server said it had done."""

    def __init__(self) -> None:
        self.flows: dict[str, str] = {}
        self.runs: set[str] = set()


@pytest.fixture
def home() -> Iterator[Path]:
    with directory_for_servers() as path:
        yield path


def work(
    client: httpx.Client, flows: list[str], kept: Promises, stop: threading.Event
) -> None:
    """Create flows, edit them and start runs, and note what was acknowledged."""
    while not stop.is_set():
        with suppress(httpx.TransportError):
            name = f"flow {random.random()}"
            made = client.post("/api/v1/flows/", json={"name": name})
            if made.status_code == 201:
                kept.flows[made.json()["id"]] = name
            run = client.post(
                f"/api/v1/build/{random.choice(flows)}/flow",
                json={"inputs": {"input_value": name, "session": name}},
            )
            if run.status_code == 200:
                kept.runs.add(run.json()["job_id"])


def disturb(server: Running, client: httpx.Client, kept: Promises) -> None:
    """Let clients work, and kill the server in the middle of it."""
    mine = client.get("/api/v1/flows/").json()
    flows = [flow["id"] for flow in mine if flow["name"] in FLOWS]
    assert len(flows) == len(FLOWS)
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        workers = [pool.submit(work, client, flows, kept, stop) for _ in range(CLIENTS)]
        time.sleep(random.uniform(0.2, 3.0))
        server.kill()
        stop.set()
    for worker in workers:
        worker.result()


def none_left_running(client: httpx.Client, kept: Promises) -> None:
    def check() -> None:
        for run in kept.runs:
            answer = client.get(f"/api/v1/runs/{run}")
            assert answer.status_code == 200, (run, answer.text)
            assert answer.json()["ended_at"], answer.json()

    eventually(check, failures=(AssertionError,), within=ENDED_WITHIN)


def all_flows_kept(client: httpx.Client, kept: Promises) -> None:
    found = {
        flow["id"]: flow["name"]
        for flow in client.get("/api/v1/flows/", params={"header_flows": True}).json()
    }
    assert kept.flows.items() <= found.items()


def views(client: httpx.Client) -> dict[str, Any]:
    """Everything that can be asked."""
    paths = ["flows/", "projects/", "variables/", "users/", "monitor/messages"]
    shown = {path: client.get(f"/api/v1/{path}").json() for path in paths}
    shown["runs"] = client.get("/api/v1/runs/", params={"size": 100}).json()
    for flow in shown["flows/"]:
        if flow["name"] in FLOWS:
            for path in ("builds", "transactions"):
                asked = client.get(
                    f"/api/v1/monitor/{path}", params={"flow_id": flow["id"]}
                )
                shown[f"{path} {flow['name']}"] = asked.json()
    return shown


def test_a_server_killed_at_any_moment_keeps_its_promises(home: Path) -> None:
    kept = Promises()
    name = password = ""
    deadline = time.monotonic() + SECONDS
    kills = 0
    while kills < KILLS or len(kept.runs) < RUNS or time.monotonic() < deadline:
        with running(home) as server:
            name, password = name or server.username, password or server.password
            with signed_in(server, name, password) as client:
                none_left_running(client, kept)
                all_flows_kept(client, kept)
                disturb(server, client, kept)
        kills += 1

    with running(home) as server, signed_in(server, name, password) as client:
        none_left_running(client, kept)
        all_flows_kept(client, kept)
        before = views(client)
        rebuilt = server.apart("projections", "rebuild", "--all")
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert views(client) == before
    print(f"{kills} kills, {len(kept.runs)} runs, {len(kept.flows)} flows")
    assert kept.runs
