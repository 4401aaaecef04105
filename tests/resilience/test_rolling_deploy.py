"""The release before goes on serving beside the new one, on the new tables."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.journeys.running import (
    COMMAND,
    Running,
    environment,
    running,
    served,
    signed_in,
)
from tests.servers import Addresses, directory_for_servers, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.server, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
NEWEST = max((ROOT / "migrations" / "versions").glob("[0-9]*.py"))
PASSWORD = "a-password-for-two-servers"


def git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no history beside us: {done.stderr.strip()}")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def release_before() -> Iterator[Path]:
    """The sources as they were just before the newest migration came."""
    came = git("log", "--diff-filter=A", "--format=%H", "--", str(NEWEST))
    if not came:
        pytest.skip("the newest migration is not committed yet")
    before = git("rev-parse", f"{came.splitlines()[-1]}~1")
    with directory_for_servers() as home:
        archive = home / "before.tar"
        git(
            "archive",
            "--output",
            str(archive),
            before,
            "src",
            "projections",
            "migrations",
        )
        code = home / "code"
        code.mkdir()
        shutil.unpack_archive(archive, code, filter="data")
        yield code


def settings_of(addresses: Addresses) -> dict[str, str]:
    return {
        "database_url": addresses.dsn,
        "migration_url": addresses.migration_dsn,
        "secret_key": "one-secret-for-both-of-the-servers",
        "superuser": "somebody",
        "superuser_password": PASSWORD,
    }


def draw_and_run(client: httpx.Client, name: str) -> str:
    """Make a flow out of a starter's, talk to it, and return its id."""
    flows = client.get("/api/v1/flows/", params={"get_all": True}).json()
    starter = next(flow for flow in flows if flow["name"] == "Words in a Template")
    made = client.post("/api/v1/flows/", json={"name": name, "data": starter["data"]})
    assert made.status_code == 201, made.text
    flow = str(made.json()["id"])
    said = {"input_value": f"hello from {name}", "session_id": name}
    answer = client.post(f"/api/v1/run/{flow}", params={"stream": False}, json=said)
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"], answer.text
    return flow


def seen(client: httpx.Client) -> dict[str, Any]:
    """What a server tells of everything there is, without what times say."""
    # A release brings its own examples, which are nobody's flows.
    own = {"header_flows": True, "remove_example_flows": True}
    flows = client.get("/api/v1/flows/", params=own).json()
    messages = client.get("/api/v1/monitor/messages").json()
    return {
        "flows": sorted((flow["id"], flow["name"]) for flow in flows),
        "messages": sorted((one["session_id"], one["text"]) for one in messages),
    }


def alike(one: httpx.Client, other: httpx.Client) -> None:
    def check() -> None:
        assert seen(one) == seen(other)

    eventually(check, failures=(AssertionError,))


def eventually_there(client: httpx.Client, *sessions: str) -> None:
    def check() -> None:
        assert {session for session, _ in seen(client)["messages"]} == {*sessions}

    eventually(check, failures=(AssertionError,))


def both_serve(at_old: httpx.Client, at_new: httpx.Client) -> None:
    draw_and_run(at_new, "at the new one")
    flow = draw_and_run(at_old, "at the old one")
    alike(at_old, at_new)

    renamed = at_new.patch(f"/api/v1/flows/{flow}", json={"name": "renamed"})
    assert renamed.status_code == 200, renamed.text
    alike(at_old, at_new)
    at_old.delete(f"/api/v1/flows/{flow}").raise_for_status()
    alike(at_old, at_new)


def finish(home: Path, settings: dict[str, str]) -> None:
    """Say that the release before is gone."""
    words = [str(COMMAND), "migrate", "--finish"]
    subprocess.run(words, cwd=home, env=environment(**settings), check=True)


def test_the_release_before_serves_beside_this_one(
    release_before: Path, blank_database: Addresses
) -> None:
    settings = settings_of(blank_database)
    with (
        directory_for_servers() as old_home,
        directory_for_servers() as new_home,
        served(Running(old_home, settings=settings, code=release_before)) as old,
        signed_in(old, "somebody", PASSWORD) as at_old,
    ):
        assert not has_table(blank_database, NEWEST)
        draw_and_run(at_old, "before")
        with (
            running(new_home, **settings) as new,
            signed_in(new, "somebody", PASSWORD) as at_new,
        ):
            both_serve(at_old, at_new)

            old.stop()
            assert sealed(blank_database) == 0
            finish(new_home, settings)
            draw_and_run(at_new, "alone")
            eventually_there(at_new, "before", "at the new one", "alone")
        with (
            running(new_home, **settings) as again,
            signed_in(again, "somebody", PASSWORD) as at_it,
        ):
            draw_and_run(at_it, "sealed")
            assert sealed(blank_database) > 0


def sealed(addresses: Addresses) -> int:
    """Count the events that a server of the release before could not read."""
    with psycopg.connect(addresses.migration_dsn) as connection:
        row = connection.execute(
            "SELECT count(subject) FROM es.core_events"
            " UNION ALL SELECT count(subject) FROM es.runs_events ORDER BY 1 DESC"
        ).fetchone()
    assert row is not None
    return int(row[0])


def has_table(addresses: Addresses, migration: Path) -> bool:
    """Tell whether the database is as far as *migration*."""
    with psycopg.connect(addresses.migration_dsn) as connection:
        row = connection.execute(
            "SELECT version_num FROM es.alembic_version"
        ).fetchone()
    assert row is not None
    return str(row[0]) >= migration.name[:4]
