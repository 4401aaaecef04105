"""What can have happened in a thread: a chat session of a flow."""

from uuid import UUID

from domain.kernel import ContentRef, Event


class ThreadOpened(Event, frozen=True, kw_only=True, tag="thread.opened"):
    flow: UUID
    session: str
    owner: UUID


class ThreadRenamed(Event, frozen=True, kw_only=True, tag="thread.renamed"):
    """The session got another name; ``session`` is the new one."""

    session: str


class MessagePosted(Event, frozen=True, kw_only=True, tag="thread.message_posted"):
    """
    Something was said.

    ``content`` is the message as JSON, in the shape of LangBuilder's
    ``add_message`` data (the same content a run's MessageEmitted names). ``flow``
    and ``session`` are the thread's when it was said.
    """

    message: UUID
    flow: UUID
    session: str
    sender: str
    sender_name: str
    category: str
    content: ContentRef
    run: UUID | None = None
    vertex: str | None = None


class MessageEdited(Event, frozen=True, kw_only=True, tag="thread.message_edited"):
    """``content`` is the whole message as it reads now."""

    message: UUID
    content: ContentRef
    sender: str
    sender_name: str
    session: str


class MessageRemoved(Event, frozen=True, kw_only=True, tag="thread.message_removed"):
    message: UUID


class ThreadDeleted(Event, frozen=True, kw_only=True, tag="thread.deleted"):
    """The session and all its messages are gone; their contents were deleted."""


type ThreadEvent = (
    ThreadOpened
    | ThreadRenamed
    | MessagePosted
    | MessageEdited
    | MessageRemoved
    | ThreadDeleted
)
