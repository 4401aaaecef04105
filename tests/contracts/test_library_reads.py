"""A log that we wrote is read by the library's own Application."""

from collections.abc import Iterator
from functools import partial
from typing import Protocol
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import AggregateNotFoundError
from eventsourcing.persistence import Notification, StoredEvent

from domain.kernel import Log
from domain.project.project import Project
from infrastructure.event_store.mapper import MsgspecMapper
from infrastructure.event_store.sealing import (
    Keys,
    Stored as Sealed,
    opened as opened_state,
)
from tests.contracts.event_stores import Named, Stored, Talk, because
from tests.contracts.library_readers import (
    Envelope,
    Opening,
    Reading,
    make_views,
    projector_of,
)
from tests.servers import Addresses

pytestmark = pytest.mark.server


class Opened(Protocol):
    """Opens a log for the library."""

    def __call__(self, log: Log, opening: Opening | None = None) -> Reading: ...


@pytest.fixture
def reading(database_addresses: Addresses) -> Iterator[Opened]:
    make_views(database_addresses)
    opened: list[Reading] = []

    def read(log: Log, opening: Opening | None = None) -> Reading:
        app = Reading(
            database_addresses.dsn, log, mapper=MsgspecMapper(), opening=opening
        )
        opened.append(app)
        return app

    yield read
    for app in opened:
        app.close()


def open_sealed(keys: Keys, subject: UUID, event: StoredEvent) -> bytes:
    tag, schema_version, _ = event.topic.split("/")
    assert isinstance(event.originator_id, UUID)
    sealed = Sealed(tag, int(schema_version), event.state, subject)
    state = opened_state(sealed, keys, stream=event.originator_id)
    assert state is not None
    return state


def everything(app: Reading, *, start: int) -> list[Notification]:
    """Read the log as the library's followers do, a section at a time."""
    found: list[Notification] = []
    while page := app.notification_log.select(start=start, limit=10):
        found += page
        start = page[-1].id + 1
    return found


async def test_the_library_selects_our_log_in_its_order(
    stored_in_postgres: Stored, reading: Opened
) -> None:
    store = stored_in_postgres.store
    for number in range(7):
        await store.save(Named.called("a", str(number)), cause=because())
        await store.save(Talk.opened(), cause=because())
    for log in ("core", "runs"):
        ours = await store.read_log(log, after=2)

        app = reading(log)
        theirs = everything(app, start=3)

        assert [one.id for one in theirs] == [one.position for one in ours]
        assert [app.mapper.to_domain_event(one) for one in theirs] == [
            Envelope(one.stream, one.version, one.event) for one in ours
        ]
        assert app.recorder.max_notification_id() == ours[-1].position


async def test_the_library_makes_our_aggregates(
    stored_in_postgres: Stored, reading: Opened
) -> None:
    store = stored_in_postgres.store
    project = Project.open(uuid4(), owner=uuid4(), name="One")
    project.rename("Two")
    project.rename("Three")
    await store.save(project, cause=because())
    talk = Talk.opened()
    talk.say("more")
    await store.save(talk, cause=because())
    keys = await stored_in_postgres.keys.of_each([project.owner])
    core, runs = reading("core", partial(open_sealed, keys)), reading("runs")

    whole = core.repository.get(project.id, projector_func=projector_of(Project))
    early = core.repository.get(
        project.id, version=2, projector_func=projector_of(Project)
    )
    said = runs.repository.get(talk.id, projector_func=projector_of(Talk))

    assert (whole.name, whole.owner, whole.version) == ("Three", project.owner, 3)
    assert (early.name, early.version) == ("Two", 2)
    assert said.names == ["first", "more"]
    with pytest.raises(AggregateNotFoundError):
        core.repository.get(uuid4(), projector_func=projector_of(Project))


async def test_the_library_lifts_old_events_too(
    stored_in_postgres: Stored, database_addresses: Addresses
) -> None:
    named = Named.called("old")
    await stored_in_postgres.store.save(named, cause=because())
    make_views(database_addresses)
    lifting = MsgspecMapper(
        upcasters={("project.opened", 1): lambda old: {**old, "name": "lifted"}}
    )
    app = Reading(database_addresses.dsn, "core", mapper=lifting)
    try:
        lifted = app.repository.get(named.id, projector_func=projector_of(Named))
        assert lifted.names == ["lifted"]
    finally:
        app.close()
