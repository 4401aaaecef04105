"""Where flows are kept for reading, as they stand now."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)

METADATA = MetaData()

# An index over whole texts refuses long ones; one over their hashes takes any.
FLOWS = Table(
    "flows",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False),
    Column("project", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("icon", Text),
    Column("icon_bg_color", Text),
    Column("gradient", Text),
    Column("tags", LargeBinary),
    Column("endpoint_name", Text),
    Column("is_component", Boolean, nullable=False),
    Column("webhook", Boolean, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("access", Text, nullable=False),
    Column("mcp_enabled", Boolean, nullable=False),
    Column("action_name", Text),
    Column("action_description", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Index("flows_of_owner", "owner", "created_at"),
    Index("flows_of_project", "project", "updated_at"),
)
