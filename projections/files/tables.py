"""Where files are kept for reading; their bytes lie in the blob store."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    MetaData,
    Table,
    Text,
    Uuid,
)

METADATA = MetaData()

FILES = Table(
    "files",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("owner", Uuid, nullable=False),
    Column("flow", Uuid),
    Column("name", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("files_of_owner", "owner", "flow", "created_at"),
    Index("files_of_flow", "flow", "created_at"),
)
