"""Where messages are kept for reading; what they say lies in their contents."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    MetaData,
    Table,
    Text,
    Uuid,
)

from projections.contents import content_columns

METADATA = MetaData()

MESSAGES = Table(
    "messages",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("thread", Uuid, nullable=False),
    Column("flow_id", Uuid, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("sender_name", Text, nullable=False),
    Column("category", Text, nullable=False),
    *content_columns(),
    Column("edited", Boolean, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("run_id", Uuid),
    Column("position", BigInteger, nullable=False),
    Index("messages_of_thread", "thread", "position"),
    Index("messages_of_flow", "flow_id", "position"),
    Index("messages_by_age", "at", postgresql_using="brin"),
    Index("messages_of_session", "session_id", postgresql_using="hash"),
)

THREADS = Table(
    "message_threads",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False),
    Column("flow_id", Uuid, nullable=False),
    Column("session_id", Text, nullable=False),
    Index("message_threads_of_owner", "owner"),
    Index("message_threads_of_flow", "flow_id"),
)

# Deletions come from the other log, in no order to the messages: they are kept.
GONE = Table("message_flows_gone", METADATA, Column("flow_id", Uuid, primary_key=True))
