"""Messages and sessions, as they can be asked for."""

from uuid import UUID, uuid4

import pytest

from domain.flow.events import FlowDeleted
from domain.kernel import ContentRef
from domain.thread.events import (
    MessageEdited,
    MessagePosted,
    MessageRemoved,
    ThreadDeleted,
    ThreadOpened,
    ThreadRenamed,
)
from projections.messages.history import RecentMessages
from projections.messages.projector import MessagesProjector
from projections.messages.views import MessageViews, UnknownOrderError
from tests.projections.journal import OTHER, OWNER, Journal, content, ids

pytestmark = pytest.mark.server

FLOW, THREAD = UUID(int=2), UUID("ff" * 4 + "-0000-8000-8000-000000000000")


def opened(session: str = "s", *, owner: UUID = OWNER) -> ThreadOpened:
    return ThreadOpened(flow=FLOW, session=session, owner=owner)


def posted(
    sender: str = "User", *, session: str = "s", words: ContentRef | None = None
) -> MessagePosted:
    return MessagePosted(
        message=uuid4(),
        flow=FLOW,
        session=session,
        sender=sender,
        sender_name=sender.lower(),
        category="message",
        content=words or content(),
        run=uuid4(),
    )


@pytest.fixture
def views(journal: Journal) -> MessageViews:
    return MessageViews(journal.database.engine)


async def test_messages_are_shown_to_their_owner_alone(
    journal: Journal, views: MessageViews
) -> None:
    question, answer, foreign = posted(), posted("Machine"), posted()
    await journal.tell(THREAD, opened(), question, answer)
    await journal.tell(uuid4(), opened(owner=OTHER), foreign)
    await journal.project(MessagesProjector())

    shown = await views.select(OWNER)
    assert ids(shown) == [question.message, answer.message]
    assert (shown[0].owner, shown[0].thread, shown[0].flow_id) == (OWNER, THREAD, FLOW)
    assert (shown[0].content, shown[0].run_id) == (question.content, question.run)
    assert not shown[0].edited
    assert ids(await views.select(OTHER, session="s")) == [foreign.message]
    assert ids(await views.select(OWNER, flow=uuid4())) == []
    assert ids(await views.select(OWNER, sender="Machine")) == [answer.message]
    assert ids(await views.select(OWNER, sender_name="user")) == [question.message]
    newest = await views.select(OWNER, descending=True, limit=1)
    assert ids(newest) == [answer.message]
    by_sender = await views.select(OWNER, order="sender", offset=1)
    assert ids(by_sender) == [question.message]
    assert len(await views.get([question.message, foreign.message])) == 2
    with pytest.raises(UnknownOrderError):
        await views.select(OWNER, order="content_id; DROP TABLE")


async def test_an_edited_message_names_its_new_words(
    journal: Journal, views: MessageViews
) -> None:
    said = posted()
    edited = MessageEdited(
        message=said.message,
        content=content(),
        sender="User",
        sender_name="me",
        session="elsewhere",
    )
    await journal.tell(THREAD, opened(), said, edited)
    await journal.project(MessagesProjector())

    (shown,) = await views.in_session(OWNER, "elsewhere")
    assert (shown.content, shown.sender_name) == (edited.content, "me")
    assert shown.edited
    assert await views.in_session(OWNER, "s") == []


async def test_a_renamed_session_takes_its_messages_along(
    journal: Journal, views: MessageViews
) -> None:
    before, moved, after = posted(), posted(), posted(session="new")
    apart = MessageEdited(
        message=moved.message,
        content=content(),
        sender="User",
        sender_name="user",
        session="apart",
    )
    await journal.tell(THREAD, opened(), before)
    await journal.project(MessagesProjector())
    await journal.tell(THREAD, moved, apart, ThreadRenamed(session="new"), after)
    await journal.project(MessagesProjector())

    assert await views.sessions(OWNER, FLOW) == ["new", "apart"]
    in_new = await views.in_session(OWNER, "new")
    assert ids(in_new) == [before.message, after.message]


async def test_what_was_removed_is_not_shown(
    journal: Journal, views: MessageViews
) -> None:
    removed, kept, deleted = posted(), posted(), posted(session="t")
    other = uuid4()
    await journal.tell(THREAD, opened(), removed, kept)
    await journal.tell(THREAD, MessageRemoved(message=removed.message))
    await journal.tell(other, opened("t"), deleted, ThreadDeleted())
    await journal.project(MessagesProjector())
    assert ids(await views.select(OWNER)) == [kept.message]
    assert await views.sessions(OWNER) == ["s"]

    await journal.tell(FLOW, FlowDeleted())
    await journal.project(MessagesProjector())
    assert await views.select(OWNER) == []
    assert await views.sessions(OWNER, FLOW) == []


class Opened:
    """Contents that lie open, for a test of who reads them."""

    def __init__(self, words: dict[UUID, bytes]) -> None:
        self.words = words

    async def seal(self, subject: UUID, data: bytes) -> object:
        raise NotImplementedError

    async def open(self, ids: list[UUID]) -> dict[UUID, bytes]:
        return {key: self.words[key] for key in ids if key in self.words}


async def test_history_is_the_last_words_in_the_order_they_were_said(
    journal: Journal, views: MessageViews
) -> None:
    said = [posted() for _ in range(4)]
    words = {
        one.content.id: b'{"text": "%d", "session_id": "old"}' % number
        for number, one in enumerate(said)
    }
    del words[said[2].content.id]
    await journal.tell(THREAD, opened(), *said)
    await journal.project(MessagesProjector())

    history = RecentMessages(views, Opened(words))  # type: ignore[arg-type]  # a test's contents
    recent = await history.recent(owner=OWNER, session="s", limit=3)
    assert [one["text"] for one in recent] == ["1", "3"]
    assert recent[0] == {
        "text": "1",
        "session_id": "s",
        "id": str(said[1].message),
    }
    newest = await history.recent(owner=OWNER, session="s", limit=1, descending=True)
    assert [one["text"] for one in newest] == ["3"]
    assert await history.recent(owner=OTHER, session="s", limit=3) == []
