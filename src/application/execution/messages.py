"""Messages as LangBuilder's clients read them: ``add_message`` data, and errors."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from domain.kernel import Json
from domain.run.values import Message, Properties, Source

STAMP = "%Y-%m-%d %H:%M:%S UTC"

ORDER = (
    "timestamp",
    "sender",
    "sender_name",
    "session_id",
    "text",
    "files",
    "error",
    "edit",
    "properties",
    "category",
    "content_blocks",
    "id",
    "flow_id",
    "duration",
)


def stamp(at: datetime) -> str:
    """Return *at* the way the chat shows it."""
    return at.astimezone(UTC).strftime(STAMP)


def message_data(message: Message) -> dict[str, Json]:
    """Return *message* as the data of an ``add_message``."""
    plain = msgspec.to_builtins(message)
    return {key: plain[key] for key in ORDER}


def message_of(data: dict[str, Json]) -> Message:
    """Read a message back from the data of an ``add_message``."""
    known = {key: data[key] for key in ORDER if data.get(key) is not None}
    return msgspec.convert(known, Message, strict=False)


def result_of(message: Message) -> dict[str, Json]:
    """Return *message* as it stands in ``results``: its data, and itself beside."""
    data = message_data(message)
    timestamp = data["timestamp"]
    beside = {
        key: data[key]
        for key in (
            "text",
            "sender",
            "sender_name",
            "files",
            "session_id",
            "flow_id",
            "error",
            "edit",
            "properties",
            "category",
            "content_blocks",
            "duration",
        )
    }
    return {
        "text_key": "text",
        "data": data,
        "default_value": "",
        **beside,
        "timestamp": iso(timestamp),
    }


def iso(timestamp: str) -> str:
    """Return the chat's time stamp in ISO 8601, or as it is if it is none."""
    try:
        at = datetime.strptime(timestamp, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return timestamp
    return at.isoformat()


def error_data(
    text: str,
    *,
    message_id: UUID,
    at: datetime,
    flow: UUID,
    session: str,
    source: Source,
    reason: str,
) -> dict[str, Json]:
    """
    Return the data of an ``error``: a message that the chat draws in red.

    *source* is empty where no vertex is to blame; the editor then raises a toast.
    """
    properties = Properties(
        text_color="red", background_color="red", source=source, icon="error"
    )
    message = Message(
        text=text,
        sender="Machine",
        sender_name=source.display_name or "AI",
        session_id=session,
        error=True,
        properties=properties,
        category="error",
        content_blocks=[_block(text, source=source, reason=reason)],
        id=str(message_id),
        flow_id=str(flow),
        timestamp=stamp(at),
    )
    return message_data(message)


def _block(text: str, *, source: Source, reason: str) -> dict[str, Json]:
    content: dict[str, Json] = {
        "type": "error",
        "duration": None,
        "header": {},
        "component": source.display_name,
        "field": None,
        "reason": f"**{reason}**\n - **Details: {text}**\n",
        "solution": None,
        "traceback": text,
    }
    return {
        "title": "Error",
        "contents": [content],
        "allow_markdown": True,
        "media_url": None,
    }


def as_error_event(data: dict[str, Json]) -> dict[str, Json]:
    """Return stored error message *data* in the shape of an ``error`` event."""
    return {
        **data,
        "format_type": "error",
        "files": None,
        "error": False,
        "background_color": "#FF0000",
        "text_color": "#FFFFFF",
        "allow_markdown": False,
    }
