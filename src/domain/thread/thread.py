"""The thread aggregate: one chat session of a flow, and what was said in it."""

from typing import ClassVar, assert_never, override
from uuid import UUID

from domain.kernel import Aggregate, ContentRef, DomainError, Log
from domain.thread.events import (
    MessageEdited,
    MessagePosted,
    MessageRemoved,
    ThreadDeleted,
    ThreadEvent,
    ThreadOpened,
    ThreadRenamed,
)


class ThreadOpenError(DomainError):
    """This thread has been opened already."""


class ThreadDeletedError(DomainError):
    """This thread has been deleted."""


class UnknownMessageError(DomainError):
    """The thread has no such message."""


class Thread(Aggregate[ThreadEvent]):
    """
    One chat session of a flow.

    `post` needs nothing of what came before but whose thread it is, so one that was
    not loaded may post: such an event is stored after whatever the stream holds by
    then.
    """

    log: ClassVar[Log] = "runs"

    flow: UUID
    owner: UUID

    def __init__(self, aggregate_id: UUID, *, owner: UUID | None = None) -> None:
        super().__init__(aggregate_id)
        if owner is not None:
            self.owner = owner
        self.session = ""
        self.opened = False
        self.deleted = False
        self.messages: dict[UUID, ContentRef] = {}

    @property
    @override
    def subject(self) -> UUID:
        return self.owner

    def open(self, *, flow: UUID, session: str, owner: UUID) -> None:
        """Begin the session, under a name that the caller has claimed."""
        if self.version:
            raise ThreadOpenError(self.id)
        self._record(ThreadOpened(flow=flow, session=session, owner=owner))

    def rename(self, session: str) -> None:
        """Give the session another name; the same one changes nothing."""
        self._require_present()
        if session != self.session:
            self._record(ThreadRenamed(session=session))

    def post(
        self,
        message: UUID,
        *,
        flow: UUID,
        session: str,
        sender: str,
        sender_name: str,
        category: str,
        content: ContentRef,
        run: UUID | None = None,
        vertex: str | None = None,
    ) -> None:
        """Say something."""
        self._require_present()
        self._record(
            MessagePosted(
                message=message,
                flow=flow,
                session=session,
                sender=sender,
                sender_name=sender_name,
                category=category,
                content=content,
                run=run,
                vertex=vertex,
            )
        )

    def edit(
        self,
        message: UUID,
        *,
        content: ContentRef,
        sender: str,
        sender_name: str,
        session: str,
    ) -> None:
        """Let a message read otherwise, or belong to another session."""
        self._require_present()
        if message not in self.messages:
            raise UnknownMessageError(message)
        self._record(
            MessageEdited(
                message=message,
                content=content,
                sender=sender,
                sender_name=sender_name,
                session=session,
            )
        )

    def remove(self, message: UUID) -> None:
        """Take a message away; one that is gone already changes nothing."""
        self._require_present()
        if message in self.messages:
            self._record(MessageRemoved(message=message))

    def delete(self) -> None:
        """Take the session away; the caller has its contents deleted."""
        if not self.deleted:
            self._record(ThreadDeleted())

    def _require_present(self) -> None:
        if self.deleted:
            raise ThreadDeletedError(self.id)

    @override
    def _apply(self, event: ThreadEvent) -> None:
        match event:
            case ThreadOpened(flow=flow, session=session, owner=owner):
                self.flow, self.session, self.owner = flow, session, owner
                self.opened = True
            case ThreadRenamed(session=session):
                self.session = session
            case MessagePosted(message=message, content=content):
                self.messages[message] = content
            case MessageEdited(message=message, content=content):
                self.messages[message] = content
            case MessageRemoved(message=message):
                self.messages.pop(message, None)
            case ThreadDeleted():
                self.deleted = True
                self.messages.clear()
            case _:
                assert_never(event)
