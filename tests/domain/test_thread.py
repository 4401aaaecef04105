"""What may be decided about a thread."""

from typing import Any
from uuid import UUID

import pytest

from domain.kernel import ContentRef
from domain.thread.events import (
    MessageEdited,
    MessagePosted,
    MessageRemoved,
    ThreadDeleted,
    ThreadOpened,
    ThreadRenamed,
)
from domain.thread.thread import (
    Thread,
    ThreadDeletedError,
    ThreadOpenError,
    UnknownMessageError,
)
from tests.specification import SOMETHING, given

FLOW, OWNER, MESSAGE = UUID(int=7), UUID(int=8), UUID(int=9)
CONTENT = ContentRef(UUID(int=10), "00ff", 12)
OPENED = ThreadOpened(flow=FLOW, session="s1", owner=OWNER)
SAID: dict[str, Any] = {"content": CONTENT, "sender": "User", "sender_name": "Ada"}
POSTED = MessagePosted(
    message=MESSAGE, flow=FLOW, session="s1", category="message", **SAID
)


def post(thread: Thread) -> None:
    thread.post(MESSAGE, flow=FLOW, session="s1", category="message", **SAID)


def edit(thread: Thread) -> None:
    thread.edit(MESSAGE, session="s2", **SAID)


def test_a_thread_is_opened_once() -> None:
    def open_it(thread: Thread) -> None:
        thread.open(flow=FLOW, session="s1", owner=OWNER)

    given(Thread).when(open_it).then(OPENED)
    given(Thread, OPENED).when(open_it).then_refuses(ThreadOpenError)


def test_something_is_said_in_a_thread_that_was_not_loaded() -> None:
    given(Thread).when(post).then(POSTED)


def test_a_thread_knows_what_was_said() -> None:
    thread = Thread(SOMETHING)
    thread.replay(OPENED, POSTED)

    assert (thread.flow, thread.session, thread.owner) == (FLOW, "s1", OWNER)
    assert thread.messages == {MESSAGE: CONTENT}


def test_a_session_gets_another_name_once() -> None:
    renamed = ThreadRenamed(session="s2")

    given(Thread, OPENED).when(lambda t: t.rename("s2")).then(renamed)
    given(Thread, OPENED, renamed).when(lambda t: t.rename("s2")).then_nothing_happens()


def test_a_message_that_is_there_can_be_edited() -> None:
    edited = MessageEdited(message=MESSAGE, session="s2", **SAID)

    given(Thread, OPENED, POSTED).when(edit).then(edited)
    given(Thread, OPENED).when(edit).then_refuses(UnknownMessageError)


def test_a_message_is_removed_once() -> None:
    removed = MessageRemoved(message=MESSAGE)

    given(Thread, OPENED, POSTED).when(lambda t: t.remove(MESSAGE)).then(removed)
    given(Thread, OPENED, POSTED, removed).when(
        lambda t: t.remove(MESSAGE)
    ).then_nothing_happens()


@pytest.mark.parametrize("command", [post, edit, lambda t: t.rename("s2")])
def test_nothing_is_said_in_a_deleted_thread(command: Any) -> None:
    given(Thread, OPENED, ThreadDeleted()).when(command).then_refuses(
        ThreadDeletedError
    )


def test_a_thread_is_deleted_once() -> None:
    given(Thread, OPENED).when(lambda t: t.delete()).then(ThreadDeleted())
    given(Thread, OPENED, ThreadDeleted()).when(
        lambda t: t.delete()
    ).then_nothing_happens()
