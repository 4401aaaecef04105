"""Health: behind but getting on is well, standing still is not, and clocks may jump."""

import ast
import asyncio
import time
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from domain.user.events import UserRegistered
from projections import pulse
from projections.checkpoints import Failure
from projections.daemon import Daemon
from projections.status import STUCK_AFTER, ProjectionStatus, health_of, status
from projections.users.projector import UsersProjector
from tests.projections.journal import OTHER, OWNER, Journal, until
from tests.projections.probe import Probe, ProbeViews, named, renamed

PROJECTIONS = Path(pulse.__file__).parent
CLOCKS = {"now", "utcnow", "today", "time", "time_ns"}


@pytest.mark.parametrize(
    ("lag", "age", "still", "failing", "health"),
    [
        (0, None, 3600.0, False, "level"),
        (1, 0.5, 3600.0, False, "level"),
        (1, 20.0, 3600.0, False, "lagging"),
        (9999, 3600.0, 1.0, False, "lagging"),
        (1, STUCK_AFTER + 1, STUCK_AFTER + 1, False, "stuck"),
        (1, 0.5, 0.1, True, "stuck"),
        (0, None, 0.1, True, "level"),
    ],
)
def test_a_projection_is_stuck_when_it_could_move_and_does_not(
    *, lag: int, age: float | None, still: float, failing: bool, health: str
) -> None:
    failure = Failure(reason="no table") if failing else None
    assert health_of(lag=lag, age=age, still=still, failure=failure) == health


def worst(daemon: Daemon) -> str:
    return daemon.pulse.worst


@pytest.mark.server
async def test_the_status_tells_the_age_of_the_oldest_event_not_taken_in(
    stored_journal: Journal,
) -> None:
    journal = stored_journal
    await journal.tell(OWNER, named("a"))
    await journal.project(Probe())
    await journal.tell(OWNER, renamed("b"), renamed("c"))

    async def core() -> ProjectionStatus:
        told = await status(journal.database, journal.store)
        return next(one for one in told if one.log == "core")

    fresh = await core()
    assert (fresh.lag, fresh.health, fresh.leader) == (2, "level", None)
    assert 0 <= (fresh.seconds or -1) < 2
    owner = await AsyncConnection.connect(
        journal.database.migration_dsn, autocommit=True
    )
    async with owner:
        await owner.execute(
            "UPDATE es.core_events SET recorded_at = recorded_at - interval '1 hour'"
            " WHERE notification_id = 2"
        )
        await owner.execute(
            "UPDATE es.projections SET updated_at = updated_at - interval '10 s'"
        )
        lagging = await core()
        await owner.execute(
            "UPDATE es.projections SET updated_at = updated_at - interval '1 minute'"
        )
    stuck = await core()

    assert (lagging.lag, lagging.health, stuck.health) == (2, "lagging", "stuck")
    assert 3600 <= (lagging.seconds or 0) < 3660


async def broken(journal: Journal, daemon: Daemon) -> None:
    """Drop a table, and tell of something that would go there."""
    await journal.tell(OWNER, named("a"))
    assert await daemon.reached(journal.position, within=30)
    async with journal.database.pool.connection() as connection:
        await connection.execute("DROP TABLE rm_probe_v1.probes CASCADE")
    await journal.tell(OWNER, renamed("b"))
    await journal.tell(OTHER, UserRegistered(username="ada", active=True))
    await until(lambda: daemon.tails["core"].last == journal.position.core)


@pytest.mark.server
async def test_looks_in_vain_make_a_projection_stuck_and_a_move_makes_it_well(
    journal: Journal,
) -> None:
    async with journal.followed_by(Probe(), UsersProjector()) as daemon:
        assert worst(daemon) == "level"
        await broken(journal, daemon)
        marks = daemon._marks.places("core")
        await until(lambda: marks["users"] == journal.position.core)
        daemon.pulse.look()
        daemon.pulse.look()
        assert daemon.pulse.health() == {"probe": "lagging", "users": "level"}
        for _ in range(pulse.PATIENCE):
            daemon.pulse.look()
        assert daemon.pulse.health() == {"probe": "stuck", "users": "level"}
        assert worst(daemon) == "stuck"

        async with journal.database.pool.connection() as connection:
            await connection.execute(
                "CREATE TABLE rm_probe_v1.probes (id uuid PRIMARY KEY, name text,"
                " events bigint)"
            )
        assert await daemon.reached(journal.position, within=30)
        daemon.pulse.look()
        assert worst(daemon) == "level"


@pytest.mark.server
async def test_a_log_that_cannot_be_read_is_no_sign_of_being_level(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def torn(*_: object, **__: object) -> list[object]:
        raise OSError("the disk is gone")

    async with journal.followed_by(Probe()) as daemon:
        with monkeypatch.context() as trouble:
            trouble.setattr(journal.store, "read_log", torn)
            await until(lambda: daemon.tails["core"].failing)
            for _ in range(pulse.PATIENCE + 1):
                daemon.pulse.look()
            assert worst(daemon) == "stuck"
        await until(lambda: not daemon.tails["core"].failing)
        await until(lambda: not daemon.tails["runs"].failing)
        daemon.pulse.look()
        assert worst(daemon) == "level"


@pytest.mark.server
async def test_a_clock_that_jumps_changes_nothing(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, real = ProbeViews(journal.database.engine), time.time
    async with journal.followed_by(Probe()) as daemon:
        for number, jump in enumerate((86_400, -86_400, 10**9, -(10**9))):
            monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
            event = renamed(str(number)) if number else named("0")
            await journal.tell(OWNER, event)
            assert await daemon.reached(journal.position, within=30)
            daemon.pulse.look()
            assert worst(daemon) == "level"
        await asyncio.sleep(0)
    assert await views.all() == {OWNER: ("3", 4)}


@pytest.mark.parametrize(
    "module",
    [
        *("checkpoints", "daemon", "follower", "leadership", "letters", "pulse"),
        *("rebuild", "tail", "upkeep", "watermarks", "writer"),
    ],
)
def test_whoever_keeps_tables_fresh_asks_no_clock_that_can_jump(module: str) -> None:
    """Only `time.monotonic`, the loop's clock, and the database's own for people."""
    asked = {
        node.attr
        for node in ast.walk(
            ast.parse((PROJECTIONS / f"{module}.py").read_text("utf-8"))
        )
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"time", "datetime", "date"}
    }
    assert not asked & CLOCKS
