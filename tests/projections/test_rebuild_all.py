"""All read tables from the logs alone, in another installation's empty database."""

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from application.ports import SYSTEM, Cause
from domain.flow.events import FlowDeleted
from domain.user.events import UserErased
from infrastructure.event_store.store import PostgresEventStore
from infrastructure.postgres import Database
from infrastructure.subject_keys import PostgresSubjectKeys
from projections.all import ALL
from projections.upkeep import Upkeep
from tests.contracts.event_stores import KEYRING
from tests.projections.canonical import shown
from tests.projections.journal import Journal
from tests.projections.test_flows import created, drawn
from tests.projections.test_rebuild import a_little_of_everything
from tests.servers import Addresses, Databases

pytestmark = pytest.mark.server

LOGS = ("core_events", "runs_events", "subject_keys", "contents")
"""What history is: the events, and what opens them."""


@pytest.fixture
async def elsewhere(
    postgres: Databases, migrated_template: str
) -> AsyncIterator[Addresses]:
    addresses = postgres.create(template=migrated_template)
    yield addresses
    postgres.drop(addresses.name)


async def stored(database: Database) -> PostgresEventStore:
    store = PostgresEventStore(database, PostgresSubjectKeys(database, KEYRING))
    await store.start()
    return store


def copied(here: str, there: str) -> None:
    """Copy the logs as they are from one database to another."""
    with psycopg.connect(here) as source, psycopg.connect(there) as target:
        for table in LOGS:
            name = Identifier("es", table)
            out = SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT binary)").format(name)
            into = SQL("COPY {} FROM STDIN (FORMAT binary)").format(name)
            with (
                source.cursor().copy(out) as read,
                target.cursor().copy(into) as write,
            ):
                for piece in read:
                    write.write(piece)
        for log in ("core", "runs"):
            target.execute(
                f"SELECT setval('es.{log}_position', max(notification_id))"
                f" FROM es.{log}_events"
            )


async def test_rebuilt_into_an_empty_database_the_views_are_equal(
    database: Database, elsewhere: Addresses
) -> None:
    store = await stored(database)
    journal = Journal(store, database)
    async with journal.followed_by(*ALL) as daemon:
        for _ in range(3):
            await a_little_of_everything(journal)
        gone = uuid4()
        await journal.tell(gone, created(document=drawn("A")), FlowDeleted())
        await journal.tell(uuid4(), UserErased())
        assert await daemon.reached(journal.position, within=30)
    live = await shown(database)
    await store.stop()
    assert sum(map(bool, live.values())) > 12, live

    copied(database.migration_dsn, elsewhere.migration_dsn)
    other = await Database.open(elsewhere.dsn, pool_size=4)
    store = await stored(other)
    try:
        upkeep = Upkeep(other, store, ALL)
        cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
        for name in upkeep.names:
            await upkeep.rebuild(name, cause=cause)

        assert await shown(other) == live
    finally:
        await store.stop()
        await other.close()
