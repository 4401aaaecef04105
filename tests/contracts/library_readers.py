"""How the ``eventsourcing`` library's own Application reads a log that we wrote."""

from collections.abc import Callable, Iterable
from typing import Any, override
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from domain.kernel import Aggregate, Event, Log
from infrastructure.event_store.mapper import MsgspecMapper
from infrastructure.postgres_cluster import APP_ROLE
from tests.servers import Addresses

type Opening = Callable[[UUID, StoredEvent], bytes]
"""Returns the plain state of an event that was sealed for a subject."""

SCHEMA = "library"
VIEW = """
CREATE VIEW {schema}.{table} AS
    SELECT originator_id, originator_version, notification_id, state,
           concat_ws('/', topic, schema_version, subject) AS topic
    FROM es.{table}
"""
"""The library keeps four columns of a row; so its topic says all that reading takes."""


class Envelope(msgspec.Struct, frozen=True):
    """Our event as the library wants it: with its stream and version."""

    originator_id: UUID
    originator_version: int
    event: Event


class LibraryMapper(Mapper[UUID]):
    """Our mapper in the library's place for one."""

    def __init__(self, mapper: MsgspecMapper, opening: Opening | None) -> None:
        super().__init__(JSONTranscoder())
        self._mapper = mapper
        self._opening = opening

    @override
    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        tag, schema_version, *subject = stored_event.topic.split("/")
        state = stored_event.state
        if subject:
            assert self._opening, "there is a sealed event, and nothing to open it with"
            state = self._opening(UUID(subject[0]), stored_event)
        assert isinstance(stored_event.originator_id, UUID)
        return Envelope(
            stored_event.originator_id,
            stored_event.originator_version,
            self._mapper.decode(tag, int(schema_version), state),
        )


class Reading(Application[UUID]):
    """The library's application; what it is called is the log that it reads."""

    def __init__(
        self,
        dsn: str,
        log: Log,
        *,
        mapper: MsgspecMapper,
        opening: Opening | None = None,
    ) -> None:
        self._ours = LibraryMapper(mapper, opening)
        self.name = log
        words = conninfo_to_dict(dsn)
        super().__init__(
            {
                "PERSISTENCE_MODULE": "eventsourcing.postgres",
                "CREATE_TABLE": "no",
                "POSTGRES_SCHEMA": SCHEMA,
                "POSTGRES_DBNAME": str(words["dbname"]),
                "POSTGRES_HOST": str(words["host"]),
                "POSTGRES_PORT": str(words.get("port") or ""),
                "POSTGRES_USER": str(words["user"]),
                "POSTGRES_PASSWORD": str(words.get("password") or ""),
            }
        )

    @override
    def construct_mapper(self) -> Mapper[UUID]:
        return self._ours


def make_views(addresses: Addresses) -> None:
    """Show the library both logs, in tables of the names that it expects."""
    schema = Identifier(SCHEMA)
    with psycopg.connect(addresses.migration_dsn, autocommit=True) as owner:
        owner.execute(SQL("CREATE SCHEMA {}").format(schema))
        role = Identifier(APP_ROLE)
        owner.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
        for table in ("core_events", "runs_events"):
            names = {"schema": schema, "table": Identifier(table)}
            owner.execute(SQL(VIEW).format(**names))
        tables = SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}")
        owner.execute(tables.format(schema, role))


def projector_of[A: Aggregate[Any]](
    kind: type[A],
) -> Callable[[A | None, Iterable[Envelope]], A | None]:
    """Return how the library makes one of our aggregates from its events."""

    def project(aggregate: A | None, envelopes: Iterable[Envelope]) -> A | None:
        for envelope in envelopes:
            aggregate = aggregate or kind(envelope.originator_id)
            aggregate.replay(envelope.event)
            assert aggregate.version == envelope.originator_version
        return aggregate

    return project
