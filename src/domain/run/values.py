"""What flows from vertex to vertex: messages, data, tables, and live objects."""

from typing import Any

import msgspec

from domain.kernel import Json


class Source(msgspec.Struct, kw_only=True):
    """Which vertex a message comes from, as the chat shows it."""

    id: str | None = None
    display_name: str | None = None
    source: str | None = None


class Properties(msgspec.Struct, kw_only=True):
    """How the chat draws a message."""

    text_color: str = ""
    background_color: str = ""
    edited: bool = False
    source: Source = msgspec.field(default_factory=Source)
    icon: str = ""
    allow_markdown: bool = False
    positive_feedback: bool | None = None
    state: str = "complete"
    targets: list[Json] = msgspec.field(default_factory=list)


class Message(msgspec.Struct, kw_only=True):
    """
    Something said in a chat.

    ``id`` is set once the run has emitted it; ``timestamp`` is
    ``YYYY-mm-dd HH:MM:SS UTC`` and set with it.
    """

    text: str = ""
    sender: str = "Machine"
    sender_name: str = "AI"
    session_id: str = ""
    files: list[str] = msgspec.field(default_factory=list)
    error: bool = False
    edit: bool = False
    properties: Properties = msgspec.field(default_factory=Properties)
    category: str = "message"
    content_blocks: list[Json] = msgspec.field(default_factory=list)
    id: str | None = None
    flow_id: str | None = None
    timestamp: str = ""
    duration: int | None = None


class Data(msgspec.Struct, kw_only=True):
    """One record; ``text_key`` names the key that reads as its text."""

    data: dict[str, Json] = msgspec.field(default_factory=dict)
    text_key: str = "text"
    default_value: str | None = ""

    @property
    def text(self) -> str:
        """The record as text: the value at ``text_key``, or the default."""
        value = self.data.get(self.text_key, self.default_value)
        return "" if value is None else str(value)


class DataFrame(msgspec.Struct, kw_only=True):
    """A table: records in order, whose keys are the columns."""

    rows: list[dict[str, Json]] = msgspec.field(default_factory=list)


class Live(msgspec.Struct, kw_only=True):
    """An object that cannot be stored: a model, a tool. Rebuilt from parameters."""

    value: Any
    type_name: str = "object"


type Value = Message | Data | DataFrame | Live | Json
