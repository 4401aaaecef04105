"""Messages as lists have them."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

import msgspec

from application.ports import Contents
from projections.messages.views import MessageRow

type Opened = Mapping[UUID, bytes]


async def messages_of(
    rows: Sequence[MessageRow], contents: Contents
) -> list[dict[str, Any]]:
    """Return those of *rows* whose words are there, with them."""
    opened = await contents.open([row.content.id for row in rows])
    return [_message(row, opened) for row in rows if row.content.id in opened]


def _message(row: MessageRow, opened: Opened) -> dict[str, Any]:
    """Return a message as lists have it; ``files`` is JSON within JSON there."""
    said: dict[str, Any] = msgspec.json.decode(opened[row.content.id])
    moment = row.at.astimezone(UTC)
    return {
        "id": row.id,
        "flow_id": row.flow_id,
        "timestamp": said.get("timestamp") or f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        "sender": row.sender,
        "sender_name": row.sender_name,
        "session_id": row.session_id,
        "text": said.get("text", ""),
        "files": msgspec.json.encode(said.get("files") or []).decode(),
        "edit": bool(said.get("edit")),
        "error": bool(said.get("error")),
        "duration": said.get("duration"),
        "properties": said.get("properties") or {},
        "category": row.category,
        "content_blocks": said.get("content_blocks") or [],
    }
