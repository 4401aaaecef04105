"""Where projects are kept for reading."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, MetaData, Table, Text, Uuid

METADATA = MetaData()

PROJECTS = Table(
    "projects",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("parent", Uuid),
    Column("mcp_access", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("projects_of_owner", "owner", "created_at"),
)
