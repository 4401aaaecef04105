"""Where runs are kept for reading."""

from sqlalchemy import BigInteger, Column, DateTime, Index, MetaData, Table, Text, Uuid

METADATA = MetaData()

RUNS = Table(
    "runs",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("flow_id", Uuid, nullable=False),
    Column("flow_name", Text, nullable=False),
    Column("owner", Uuid, nullable=False),
    Column("session", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("flow_version", BigInteger),
    Column("requested_at", DateTime(timezone=True), nullable=False),
    Column("claimed_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
    Column("version", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Index("runs_of_owner", "owner", "position"),
    Index("runs_of_flow", "flow_id", "position"),
    Index("runs_by_age", "requested_at", postgresql_using="brin"),
)
# Few rows are unfinished, so an index over them alone stays small.
Index("runs_unfinished", RUNS.c.position, postgresql_where=RUNS.c.ended_at.is_(None))

# Erasures come from the other log, in no order to the runs: they are kept.
ERASED = Table("runs_erased", METADATA, Column("owner", Uuid, primary_key=True))
