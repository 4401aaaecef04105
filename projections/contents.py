"""How read tables name contents, which lie elsewhere."""

from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Text, Uuid

from domain.kernel import ContentRef


def content_columns(*, nullable: bool = False) -> tuple[Column[Any], ...]:
    """Return the columns that hold a `ContentRef`."""
    return (
        Column("content_id", Uuid, nullable=nullable),
        Column("content_digest", Text, nullable=nullable),
        Column("content_size", BigInteger, nullable=nullable),
    )


def content_values(content: ContentRef) -> dict[str, Any]:
    """Return *content* as the values of its columns."""
    return {
        "content_id": content.id,
        "content_digest": content.digest,
        "content_size": content.size,
    }


def content_ref(
    content_id: UUID | None, digest: str | None, size: int | None
) -> ContentRef | None:
    """Return what three columns name."""
    if content_id is None or digest is None or size is None:
        return None
    return ContentRef(content_id, digest, size)
