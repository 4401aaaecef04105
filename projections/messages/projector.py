"""Projects what was said in threads onto ``messages``."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, override

from sqlalchemy import Table

from application.ports import Recorded
from domain.flow.events import FlowDeleted
from domain.thread.events import (
    MessageEdited,
    MessagePosted,
    MessageRemoved,
    ThreadDeleted,
    ThreadOpened,
    ThreadRenamed,
)
from projections.contents import content_values
from projections.messages.tables import GONE, MESSAGES, METADATA, THREADS
from projections.projector import Projector, UnwantedEventError
from projections.rows import Rows


class MessagesProjector(Projector):
    """What was said, by whom and where; the words themselves are contents."""

    name = "messages"
    version = 2
    tables = METADATA
    reads = (
        ThreadOpened,
        ThreadRenamed,
        MessagePosted,
        MessageEdited,
        MessageRemoved,
        ThreadDeleted,
        FlowDeleted,
    )

    @override
    def needs(
        self, batch: Sequence[Recorded]
    ) -> Mapping[Table, Iterable[tuple[Any, ...]]]:
        return {
            THREADS: [
                (recorded.stream,)
                for recorded in batch
                if isinstance(recorded.event, ThreadRenamed)
            ],
            GONE: [
                (recorded.event.flow,)
                for recorded in batch
                if isinstance(recorded.event, ThreadOpened | MessagePosted)
            ],
        }

    @override
    def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
        for recorded in batch:
            match recorded.event:
                case ThreadOpened(flow=flow) | MessagePosted(flow=flow) if rows.get(
                    GONE, flow
                ):
                    pass
                case ThreadOpened() as event:
                    rows.put(
                        THREADS,
                        id=recorded.stream,
                        owner=event.owner,
                        flow_id=event.flow,
                        session_id=event.session,
                    )
                case ThreadRenamed(session=session):
                    _rename(recorded, session, rows)
                case MessagePosted() as event:
                    _post(recorded, event, rows)
                case MessageEdited() as event:
                    rows.change(
                        MESSAGES,
                        event.message,
                        session_id=event.session,
                        sender=event.sender,
                        sender_name=event.sender_name,
                        edited=True,
                        **content_values(event.content),
                    )
                case MessageRemoved(message=message):
                    rows.remove(MESSAGES, message)
                case ThreadDeleted():
                    rows.remove_where(MESSAGES, thread=recorded.stream)
                    rows.remove(THREADS, recorded.stream)
                case FlowDeleted():
                    rows.put(GONE, flow_id=recorded.stream)
                    rows.remove_where(MESSAGES, flow_id=recorded.stream)
                    rows.remove_where(THREADS, flow_id=recorded.stream)
                case unwanted:
                    raise UnwantedEventError(type(unwanted).__name__)


def _post(recorded: Recorded, event: MessagePosted, rows: Rows) -> None:
    rows.put(
        MESSAGES,
        id=event.message,
        thread=recorded.stream,
        flow_id=event.flow,
        session_id=event.session,
        sender=event.sender,
        sender_name=event.sender_name,
        category=event.category,
        edited=False,
        at=recorded.at,
        run_id=event.run,
        position=recorded.position,
        **content_values(event.content),
    )


def _rename(recorded: Recorded, session: str, rows: Rows) -> None:
    thread = rows.get(THREADS, recorded.stream)
    if thread is None:
        return
    # A message that was moved to another session by itself stays there.
    before = {"thread": recorded.stream, "session_id": thread["session_id"]}
    rows.change_where(MESSAGES, before, session_id=session)
    rows.change(THREADS, recorded.stream, session_id=session)
