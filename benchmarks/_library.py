"""The library's own application, view and runner: the peer of our projections."""

from typing import Any, override
from uuid import UUID, uuid4

import psycopg
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate as LibraryAggregate, DomainEvent, event
from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL

from benchmarks._pace import Pace, Stopwatch

FLOW = uuid4()
POSTS_A_THREAD = 10


class Talk(LibraryAggregate):
    """The library's own way to say that something was said."""

    @event("Opened")
    def __init__(self, flow: UUID, session: str) -> None:
        self.flow = flow
        self.session = session

    @event("Posted")
    def post(self, message: UUID, sender: str, content: UUID) -> None:
        self.last = (message, sender, content)


class Said(PostgresTrackingRecorder):
    """The library's kind of view: a table, written with its tracking record."""

    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS said (id uuid PRIMARY KEY, thread uuid, "
                "sender text, content uuid, at timestamptz)"
            ).format()
        )

    def put(self, tracking: Tracking, *row: object) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(
                "INSERT INTO said VALUES (%s, %s, %s, %s, %s) ON CONFLICT (id) DO "
                "UPDATE SET sender = excluded.sender, content = excluded.content",
                row,
                prepare=True,
            )


class SaidProjection(Projection[Said]):
    """One upsert an event."""

    name = "said"

    @override
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        heard: DomainEvent = domain_event
        message = getattr(heard, "message", heard.originator_id)
        content_id = getattr(heard, "content", None)
        sender = getattr(heard, "sender", "")
        row = (message, heard.originator_id, sender, content_id, heard.timestamp)
        self.view.put(tracking, *row)


class Talks(Application[UUID]):
    """Where the library's events are."""


class Library:
    """The same of the library: its application, its runner, one upsert an event."""

    def __init__(self, url: str) -> None:
        words = psycopg.conninfo.conninfo_to_dict(url)
        self._env = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(words["dbname"]),
            "POSTGRES_HOST": str(words["host"]),
            "POSTGRES_PORT": str(words.get("port") or ""),
            "POSTGRES_USER": str(words["user"]),
            "POSTGRES_PASSWORD": str(words.get("password") or ""),
        }

    def append(self, events: int) -> int:
        """Append about *events* events; return the last one's id."""
        app = Talks(env=self._env)
        try:
            for _ in range(events // (POSTS_A_THREAD + 1)):
                talk = Talk(flow=FLOW, session="A session")
                for _ in range(POSTS_A_THREAD):
                    talk.post(message=uuid4(), sender="User", content=uuid4())
                app.save(talk)
            return app.recorder.max_notification_id() or 0
        finally:
            app.close()

    def live(self, last: int, events: int) -> Pace:
        """Let a runner catch up with the last *events* events."""
        watch = Stopwatch()
        with ProjectionRunner(
            application_class=Talks,
            projection_class=SaidProjection,
            view_class=Said,
            env=self._env,
        ) as runner:
            runner.wait(last, timeout=120)
            return watch.pace(events)
