"""What an operator sees of retention and archives, beside a running server."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from tests.journeys.running import Running, running, signed_in
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]

FLOW = {"name": "Echo", "data": {"nodes": [], "edges": []}}
LONG_AGO = datetime.now(UTC) - timedelta(days=200)


def a_run_of_long_ago(server: Running) -> UUID:
    """Give the events of a run an id, and a time, of half a year ago."""
    database = EmbeddedPostgres.running(server.home / "data")
    assert database is not None
    with psycopg.connect(database.migration_dsn, autocommit=True) as owner:
        month = LONG_AGO.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        until = (month + timedelta(days=32)).replace(day=1)
        owner.execute(
            f"CREATE TABLE es.runs_events_{month:%Y_%m} PARTITION OF es.runs_events"
            f" FOR VALUES FROM (es.first_id_at('{month}'))"
            f" TO (es.first_id_at('{until}'))".encode()
        )
        [run] = owner.execute("SELECT es.first_id_at(%s)", (LONG_AGO,)).fetchone() or ()
        requested: dict[str, Any] = {
            "$tag": "run.requested",
            "flow": str(run),
            "flow_name": "Echo",
            "owner": str(run),
            "session": "s",
            "trigger": "run",
            "request": {"id": str(run), "digest": "", "size": 0},
        }
        failed = {"$tag": "run.failed", "reason": "worker-lost"}
        for version, event in enumerate([requested, failed], 1):
            owner.execute(
                "INSERT INTO es.runs_events (originator_id, originator_version, topic,"
                " schema_version, state, metadata, recorded_at)"
                " VALUES (%s, %s, %s, 1, %s, '{}', %s)",
                (run, version, event["$tag"], json.dumps(event).encode(), LONG_AGO),
            )
        assert isinstance(run, UUID)
        return run


def test_an_old_run_is_archived_and_looked_at() -> None:
    with directory_for_servers() as home:
        with running(home) as first:
            run = a_run_of_long_ago(first)
            with signed_in(first, first.username, first.password) as client:
                # Whatever wakes the projections takes the run in as well.
                client.post("/api/v1/flows/", json=FLOW).raise_for_status()
            first.stop()  # which seals
        with running(home) as server:
            foretold = server.ask("retention", "run", "--dry-run")
            shown = server.apart("retention", "run", "--dry-run")
            done = server.ask("retention", "run")
            [archive] = server.ask("archives", "list")
            listed = server.ask("archives", "show", archive["id"])
            printed = server.apart("archives", "list")
            fetched = server.command("archives", "fetch", str(run), "--out", "r.jsonl")
            replayed = server.command("archives", "replay", str(run))
            again = server.command("events", "show", str(run))
            rebuilt = server.command("projections", "rebuild", "runs", "--archives")
            unknown = server.command("archives", "fetch", str(UUID(int=1)))
            sound = server.command("events", "verify")
            lines = (home / "r.jsonl").read_text().splitlines()

    month = f"runs_events_{LONG_AGO:%Y_%m}"
    assert {"kind": month, "rows": 2} in [
        {"kind": one["kind"], "rows": one["rows"]} for one in foretold
    ]
    assert "WOULD GO" in shown.stdout
    assert [one["stays"] for one in done if one["kind"] == month] == [None]
    assert (archive["partition"], archive["events"]) == (month, 2)
    assert [(one["stream"], one["end"]) for one in listed] == [(str(run), "run.failed")]
    assert month in printed.stdout
    assert fetched.returncode == 0, fetched.stderr
    assert [json.loads(one)["tag"] for one in lines] == ["run.requested", "run.failed"]
    assert "The run of Echo failed, worker-lost." in replayed.stdout
    assert again.returncode == 1
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert unknown.returncode == 1
    assert "No archive holds" in unknown.stderr
    assert sound.returncode == 0, sound.stderr
