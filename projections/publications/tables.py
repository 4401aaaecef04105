"""Where publications are kept for reading; never anybody's key."""

from sqlalchemy import Column, DateTime, Index, MetaData, Table, Text, Uuid

METADATA = MetaData()

PUBLICATIONS = Table(
    "publications",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("flow_id", Uuid, nullable=False),
    Column("owner", Uuid, nullable=False),
    Column("platform", Text, nullable=False),
    Column("platform_url", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    Column("published_by", Text),
    Column("status", Text, nullable=False),
    Column("last_sync_at", DateTime(timezone=True), nullable=False),
    Column("error", Text),
    Index("publications_of_flow", "flow_id", "published_at"),
    Index("publications_of_owner", "owner", "status"),
)
