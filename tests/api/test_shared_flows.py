"""Every real flow we were given: it comes back as it was, and its runs end."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import SHARED, Person

FLOWS = sorted((SHARED / "flows").glob("*.json"))

pytestmark = pytest.mark.skipif(not FLOWS, reason="the shared flows are not here")


async def uploaded(person: Person, path: Path) -> dict[str, Any]:
    answer = await person.post(
        "/api/v1/flows/upload/",
        files={"file": (path.name, path.read_bytes(), "application/json")},
    )
    assert answer.status_code == 201, answer.text
    [flow] = answer.json()
    return dict(flow)


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
async def test_what_was_uploaded_is_downloaded(path: Path, bob: Person) -> None:
    flow = await uploaded(bob, path)

    read = await bob.get(f"/api/v1/flows/{flow['id']}")
    downloaded = await bob.post("/api/v1/flows/download/", json=[flow["id"]])

    sent = json.loads(path.read_bytes())
    assert downloaded.json()["data"] == sent["data"]
    assert read.json()["data"] == flow["data"]


@pytest.mark.slow
@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
async def test_a_run_of_it_reaches_its_end(path: Path, bob: Person) -> None:
    flow = await uploaded(bob, path)
    asked = await bob.post(
        f"/api/v1/build/{flow['id']}/flow",
        json={"inputs": {"input_value": "hello", "session": "shared"}},
        params={"event_delivery": "streaming"},
    )
    assert asked.status_code == 200, asked.text

    job = asked.json()["job_id"]
    stream = await bob.get(f"/api/v1/build/{job}/events")

    events = [json.loads(line) for line in stream.text.split("\n\n") if line]
    assert events[-1] == {"event": "end", "data": {}}
    assert stream.headers["content-type"].startswith("application/x-ndjson")
