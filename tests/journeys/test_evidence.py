"""What an operator sees when somebody has rewritten history."""

import json

import psycopg
import pytest

from infrastructure.embedded_postgres import EmbeddedPostgres
from tests.journeys.running import running
from tests.servers import directory_for_servers

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(180)]


def test_a_changed_event_is_named_and_a_kept_head_knows_a_cut_one() -> None:
    with directory_for_servers() as home:
        with running(home) as first:
            stranger = first.apart("events", "verify", "--head", "data/secret_key")
            first.stop()  # which seals the rest
        with running(home) as server:
            exported = server.command("events", "head", "--out", "head.json")
            printed = server.command("events", "head", "--json")
            sound = server.apart("events", "verify", "--head", "head.json")
            database = EmbeddedPostgres.running(home / "data")
            assert database is not None
            with psycopg.connect(database.migration_dsn) as owner:
                [(position, stream)] = owner.execute(
                    "UPDATE es.core_events SET metadata = '{}' WHERE notification_id"
                    " = 2 RETURNING notification_id, originator_id"
                ).fetchall()
            changed = server.command("events", "verify")
            listed = server.command("events", "verify", "--json")
            with psycopg.connect(database.migration_dsn) as owner:
                owner.execute("DELETE FROM es.segments WHERE log = 'core'")
            cut = server.command("events", "verify", "--head", "head.json")

    assert stranger.returncode == 1
    assert "is not an exported head" in stranger.stderr
    assert exported.returncode == 0, exported.stderr
    assert set(json.loads(printed.stdout)) >= {"core", "runs"}
    assert sound.returncode == 0, sound.stderr
    assert "NOT YET SEALED" in sound.stdout
    assert changed.returncode == 1
    assert f"core={position}: {stream} v" in changed.stderr
    core, runs = (json.loads(line) for line in listed.stdout.splitlines())
    assert [one["kind"] for one in core["findings"]] == ["changed"]
    assert runs["found"] == 0
    assert cut.returncode == 1
    # The server may have sealed anew by then.
    assert "now gone" in cut.stderr or "knows another segment" in cut.stderr
    assert "\x1b" not in cut.stderr + cut.stdout
