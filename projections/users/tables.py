"""Where users are kept for reading."""

from sqlalchemy import (
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

USERS = Table(
    "users",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("username", Text, nullable=False),
    Column("profile_image", Text),
    Column("is_active", Boolean, nullable=False),
    Column("is_superuser", Boolean, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("last_login_at", DateTime(timezone=True)),
    Column("has_store_key", Boolean, nullable=False),
    Column("optins", LargeBinary),
    Index("users_by_age", "created_at", "id"),
)
