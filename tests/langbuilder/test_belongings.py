"""Messages, sessions, variables, keys and oneself by the client."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from langbuilder import (
    AuthenticationError,
    Client,
    Message,
    NewApiKey,
    PermissionDeniedError,
    Variable,
)
from langbuilder.listing import whole
from langbuilder.steps import Steps
from langbuilder.wire import Answer, Call, get
from tests.api.conftest import Person
from tests.langbuilder.hands import Hand
from tests.langbuilder.test_runs import flow_named


async def conversation(hand: Hand, *words: str) -> tuple[UUID, str]:
    """Say *words* to a flow that answers at once, in a session of their own."""
    flow = await flow_named(hand, "Words in a Template")
    session = f"talk/{uuid4().hex[:6]} é"
    for one in words:
        await hand.do(hand.client.runs.run, flow, one, session=session)
    return flow, session


async def test_messages_are_listed_in_both_directions_page_by_page(hand: Hand) -> None:
    flow, session = await conversation(hand, "one", "two", "three")
    messages = hand.client.messages

    forth = await hand.all(messages.list(session=session, page_size=2))
    back = await hand.all(
        messages.list(session=session, newest_first=True, page_size=4)
    )
    hers = await hand.all(messages.list(flow=flow, sender="User", page_size=3))

    assert [one.text for one in forth if one.sender == "User"] == [
        "one",
        "two",
        "three",
    ]
    assert len(forth) == 6
    assert back == forth[::-1]
    assert [one.text for one in hers[-3:]] == ["one", "two", "three"]
    assert isinstance(forth[0], Message)
    assert forth[0].sent_at
    assert forth[0].sent_at <= forth[-1].sent_at


async def test_a_message_is_edited_and_removed(hand: Hand) -> None:
    _, session = await conversation(hand, "hallo")
    messages = hand.client.messages
    first, second = await hand.all(messages.list(session=session))

    edited = await hand.do(messages.update, first, text="hello")
    await hand.do(messages.delete, second)

    assert (edited.text, edited.edit) == ("hello", True)
    assert [one.text for one in await hand.all(messages.list(session=session))] == [
        "hello"
    ]


async def test_a_session_is_renamed_and_deleted(hand: Hand) -> None:
    flow, session = await conversation(hand, "hello")
    sessions = hand.client.sessions

    await hand.do(sessions.rename, session, f"{session}?&#2")
    assert f"{session}?&#2" in await hand.do(sessions.list, flow)
    assert session not in await hand.do(sessions.list)
    await hand.do(sessions.delete, f"{session}?&#2")

    assert f"{session}?&#2" not in await hand.do(sessions.list)


async def test_variables_are_defined_changed_and_removed(hand: Hand) -> None:
    name = f"V_{uuid4().hex[:6]}"
    variables = hand.client.variables

    plain = await hand.do(variables.create, name, "one", type="Generic")
    secret = await hand.do(variables.create, f"{name}_S", "two")
    changed = await hand.do(variables.update, plain, value="three")

    assert (plain.value, changed.value, secret.value) == ("one", "three", None)
    listed = {one.name: one for one in await hand.do(variables.list)}
    assert listed[name].value == "three"
    assert listed[f"{name}_S"].type == "Credential"
    await hand.do(variables.delete, plain)
    await hand.do(variables.delete, secret.id)
    assert name not in [one.name for one in await hand.do(variables.list)]


async def test_a_key_is_told_once_and_never_by_its_repr(
    hand: Hand, address: str
) -> None:
    keys = hand.client.api_keys
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    made: NewApiKey = await hand.do(
        keys.create, "another", scopes=["read"], expires_at=tomorrow
    )
    listed = {one.id: one for one in await hand.do(keys.list)}

    assert made.key.startswith("sk-")
    assert made.key not in repr(made)
    assert made.key not in repr(listed)
    assert listed[made.id].masked.startswith(made.key[:8])
    assert listed[made.id].scopes == ("read",)
    assert listed[made.id].expires_at == tomorrow
    renamed = await hand.do(keys.update, made, name="renamed")
    assert (renamed.name, renamed.is_active) == ("renamed", True)
    theirs = Hand(Client(address, api_key=made.key))
    assert (await theirs.do(theirs.client.users.me)).username
    with pytest.raises(PermissionDeniedError, match="scope"):
        await theirs.do(theirs.client.projects.create, "not by a reader")
    await hand.do(keys.delete, made)
    with pytest.raises(AuthenticationError) as revoked:
        await theirs.do(theirs.client.users.me)
    assert revoked.value.status == 403
    assert made.key not in str(revoked.value)
    await theirs.close()


async def test_who_am_i(hand: Hand, grace: Person) -> None:
    me = await hand.do(hand.client.users.me)

    assert (str(me.id), me.username, me.is_superuser) == (
        grace.id,
        grace.username,
        False,
    )
    assert me.created_at
    assert me.created_at.tzinfo


async def test_what_has_no_method_is_asked_for_all_the_same(hand: Hand) -> None:
    version = await hand.do(hand.client.request, "GET", "/api/v1/version")
    made = await hand.do(
        hand.client.request,
        "post",
        "/api/v1/projects/",
        json={"name": "Raw"},
        key=uuid4().hex,
    )

    assert version.json()["package"]
    assert made.status == 201
    assert made.headers["x-position"]
    await hand.do(hand.client.projects.delete, made.json()["id"])


async def test_a_plain_list_is_read_to_its_end_however_it_comes(hand: Hand) -> None:
    variables = hand.client.variables
    made = {
        (await hand.do(variables.create, f"v{uuid4().hex}", "x")).id for _ in range(5)
    }
    asked: list[str] = []

    def send(call: Call) -> Steps[Answer]:
        asked.append(call.path)
        answer: Answer = yield from variables._send(call)
        return answer

    def items(answer: Answer) -> list[Variable]:
        return answer.read(list[Variable])

    few = whole(send, get("/api/v1/variables/", limit=2), items)
    found = await hand.do(variables._driver.run, few)

    assert [one.id for one in found] == [
        one.id for one in await hand.do(variables.list)
    ]
    assert made <= {one.id for one in found}
    assert len(asked) == -(-len(found) // 2)


@pytest.mark.parametrize("link", ["https://elsewhere/x", "//elsewhere/x", "/"])
def test_no_list_leads_to_another_server(link: str) -> None:
    def send(call: Call) -> Steps[Answer]:
        said = {"link": f'<{link}>; rel="next"'}
        yield from ()
        return Answer(call=call, status=200, headers=said, content=b"[1]")

    def items(answer: Answer) -> list[int]:
        return answer.read(list[int])

    steps = whole(send, get("/api/v1/variables/"), items)

    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert ended.value.value == (1,)
