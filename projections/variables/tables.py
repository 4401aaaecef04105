"""Where variables are kept for reading; their values lie in the vault."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, MetaData, Table, Text, Uuid

METADATA = MetaData()

VARIABLES = Table(
    "variables",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("secret", Uuid, nullable=False),
    Column("default_fields", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("variables_of_user", "user_id", "created_at"),
)
