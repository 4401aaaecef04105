"""What cannot be taken in: parked, read later by who can, or the tables' own fault."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from psycopg import AsyncConnection

from application.ports import Recorded
from domain.user.events import UserRegistered
from infrastructure.event_store.mapper import UnreadableEvent
from projections.letters import DeadLetters, Outcome
from projections.rebuild import rebuild, swap_back
from projections.refusals import EventGoneError, NothingBeforeError
from projections.users.projector import UsersProjector
from projections.users.views import UserViews
from tests.projections.journal import OTHER, OWNER, Journal
from tests.projections.probe import Probe, ProbeViews, named, renamed

pytestmark = pytest.mark.server


@pytest.fixture
def views(journal: Journal) -> ProbeViews:
    return ProbeViews(journal.database.engine)


def unreadable(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, tags: Mapping[int, str]
) -> None:
    """Let an older server be unable to read what lies at some positions."""

    def seen(recorded: Recorded) -> Recorded:
        if recorded.position not in tags:
            return recorded
        tag = tags[recorded.position]
        broken = UnreadableEvent(event_tag=tag, schema_version=2, reason="unknown")
        return msgspec.structs.replace(recorded, event=broken)

    read_log, read_stream = journal.store.read_log, journal.store.read_stream

    async def log_as_seen(*given: Any, **more: Any) -> list[Recorded]:
        return [seen(one) for one in await read_log(*given, **more)]

    async def stream_as_seen(*given: Any, **more: Any) -> list[Recorded]:
        return [seen(one) for one in await read_stream(*given, **more)]

    monkeypatch.setattr(journal.store, "read_log", log_as_seen)
    monkeypatch.setattr(journal.store, "read_stream", stream_as_seen)


@pytest.mark.parametrize("tag", ["project.renamed", "project.never_heard_of"])
async def test_an_event_that_cannot_be_read_is_parked_by_who_may_want_it(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    project, other = uuid4(), uuid4()
    await journal.tell(project, named("a"), renamed("b"), renamed("c"))
    await journal.tell(other, named("a"))
    with monkeypatch.context() as older:
        unreadable(journal, older, {2: tag})
        await journal.project(Probe(), UsersProjector())

        assert await views.all() == {project: ("a", 1), other: ("a", 1)}
        [letter] = await DeadLetters(journal.database, journal.store, [Probe()]).page()
        assert (letter.projection, letter.tag, letter.unreadable) == (
            "probe",
            tag,
            True,
        )
        await journal.project(Probe())
        assert await views.all() == {project: ("a", 1), other: ("a", 1)}

    # A server that can read it takes the lead.
    await journal.project(Probe(), UsersProjector())
    assert await views.all() == {project: ("c", 3), other: ("a", 1)}


@pytest.mark.parametrize("tag", ["billing.never_heard_of", "project.moved"])
async def test_an_event_that_nobody_here_wants_need_not_be_readable(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch, tag: str
) -> None:
    await journal.tell(OWNER, named("a"), renamed("b"), renamed("c"))
    unreadable(journal, monkeypatch, {2: tag})
    await journal.project(Probe())
    assert await views.all() == {OWNER: ("c", 2)}


async def test_a_table_dropped_under_it_stops_one_projection_until_it_is_rebuilt(
    stored_journal: Journal,
) -> None:
    journal = stored_journal
    users, views = (
        UserViews(journal.database.engine),
        ProbeViews(journal.database.engine),
    )
    async with journal.followed_by(Probe(), UsersProjector()) as daemon:
        await journal.tell(OWNER, named("a"))
        assert await daemon.reached(journal.position, within=30)
        async with journal.database.pool.connection() as connection:
            await connection.execute("DROP TABLE rm_probe_v1.probes CASCADE")
        await journal.tell(OWNER, renamed("b"))
        await journal.tell(OTHER, UserRegistered(username="ada", active=True))

        async with asyncio.timeout(30):
            while not (probe := (await daemon.status())[0]).failure:
                await asyncio.sleep(0.01)
        assert (probe.name, probe.health, probe.dead_letters) == ("probe", "stuck", 0)
        assert "UndefinedTable" in probe.failure.reason
        async with asyncio.timeout(30):
            while not await users.get(OTHER):
                await asyncio.sleep(0.01)

        await rebuild(journal.database, journal.store, Probe())

        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == {OWNER: ("b", 2)}
        await journal.tell(OWNER, renamed("c"))
        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == {OWNER: ("c", 3)}
        live = [one for one in await daemon.status() if one.state == "live"]
        assert not any(one.failure for one in live)
        with pytest.raises(NothingBeforeError):
            await swap_back(journal.database, journal.store, Probe())


async def test_a_projection_that_fails_on_its_first_event_holds_that_stream_alone(
    journal: Journal, views: ProbeViews
) -> None:
    await journal.tell(OWNER, named("poison"))
    await journal.tell(OTHER, named("a"))
    async with journal.followed_by(Probe()) as daemon:
        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == {OTHER: ("a", 1)}
        assert {one.health for one in await daemon.status()} == {"level"}


async def test_a_letter_whose_event_was_archived_can_be_let_go(
    stored_journal: Journal,
) -> None:
    journal, views = stored_journal, ProbeViews(stored_journal.database.engine)
    await journal.tell(OWNER, named("a"), renamed("poison"), renamed("b"))
    await journal.tell(OTHER, named("poison"))
    await journal.project(Probe())
    owner = await AsyncConnection.connect(
        journal.database.migration_dsn, autocommit=True
    )
    async with owner:
        await owner.execute(
            "DELETE FROM es.core_events WHERE notification_id IN (2, 4)"
        )
    kept = DeadLetters(journal.database, journal.store, [Probe()])
    one, two = await kept.page()

    with pytest.raises(EventGoneError):
        await kept.event(one)
    assert await kept.retry(one.place) == Outcome(taken=1)
    assert await kept.skip(two.place, "It was archived.") == Outcome(taken=0)
    assert await views.all() == {OWNER: ("b", 2)}
