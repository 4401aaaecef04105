"""Where the newest build of each vertex is kept for reading."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    MetaData,
    Table,
    Text,
    Uuid,
)

from projections.contents import content_columns

METADATA = MetaData()

BUILDS = Table(
    "vertex_builds",
    METADATA,
    Column("flow_id", Uuid, primary_key=True),
    Column("vertex", Text, primary_key=True),
    Column("build_id", Uuid, nullable=False),
    Column("run_id", Uuid, nullable=False),
    Column("valid", Boolean, nullable=False),
    *content_columns(),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("position", BigInteger, nullable=False),
)

# Clearings come from the other log, in no order to the builds: their time decides.
CLEARED = Table(
    "vertex_builds_cleared",
    METADATA,
    Column("flow_id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
)
