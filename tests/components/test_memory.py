"""What was said before comes back."""

from typing import Any

import pytest

from application.ports.components import ComponentFailedError, MissingSettingError
from domain.run.values import Message
from infrastructure.components.memory import Memory
from tests.components.calls import Call, build

MEMORY = Memory()


def said(text: str, sender: str = "User", **more: Any) -> Message:
    return Message(
        text=text, sender=sender, sender_name=sender, session_id="session", **more
    )


BEFORE = [
    said("one"),
    said("two", "Machine"),
    said("oops", "Machine", error=True),
    said("three"),
]


async def recall(**fields: Any) -> str:
    message = await build(MEMORY, Call(said_before=BEFORE), **fields)
    assert isinstance(message, Message)
    return message.text


async def test_a_session_reads_as_text_without_its_errors() -> None:
    assert await recall() == "User: one\nMachine: two\nUser: three"


async def test_only_one_senders_messages() -> None:
    assert await recall(sender_type="Machine") == "Machine: two"
    assert await recall(sender_name="User") == "User: one\nUser: three"


async def test_the_last_messages_newest_first() -> None:
    newest = await recall(n_messages=1, order="Descending", template="{text}!")
    assert newest == "three!"
    assert await recall(order="Descending", template="{text}") == "three\ntwo\none"


async def test_no_messages_when_none_are_wanted() -> None:
    assert await recall(n_messages=0) == ""


async def test_another_session_may_be_named() -> None:
    call = Call(said_before=BEFORE)
    await build(MEMORY, call, session_id="other", n_messages=10**9)
    asked = {"session": "other", "limit": 10_000, "descending": False}
    assert call.asked_history == [asked]


async def test_without_a_session_it_says_what_is_missing() -> None:
    with pytest.raises(MissingSettingError, match="session"):
        await build(MEMORY, Call(session=""))


async def test_messages_are_a_table_too() -> None:
    call = Call(wanted=["dataframe"], said_before=BEFORE)
    table = await build(MEMORY, call)
    assert [row["text"] for row in table.rows] == ["one", "two", "three"]
    assert list(table.rows[0])[:2] == ["sender", "text"]
    assert len(table.rows[0]) == 14


async def test_flows_of_old_keep_the_sender_type_in_sender() -> None:
    node = MEMORY.schema()
    del node["template"]["sender_type"]
    for sender, expected in (("Machine", ["two"]), ("Machine and User", None)):
        call = Call(wanted=["dataframe"], node=node, said_before=BEFORE)
        table = await build(MEMORY, call, sender=sender)
        texts = [row["text"] for row in table.rows]
        assert texts == (expected or ["one", "two", "three"])


async def test_a_message_is_put_into_the_session() -> None:
    call = Call(wanted=["stored_messages"])
    kept = await build(
        MEMORY, call, mode="Store", message="keep", sender="User", sender_name="Clerk"
    )
    assert call.emitted == [kept]
    assert (kept.text, kept.session_id) == ("keep", "session")
    assert (kept.sender, kept.sender_name) == ("User", "Clerk")


async def test_storing_needs_a_message() -> None:
    with pytest.raises(MissingSettingError, match="Message"):
        await build(MEMORY, Call(wanted=["stored_messages"]), mode="Store")


async def test_a_template_reaches_nothing_but_the_message() -> None:
    with pytest.raises(ComponentFailedError, match="Template"):
        await recall(template="{text.__class__}")


def test_the_mode_changes_fields_and_outputs() -> None:
    storing = MEMORY.updated(MEMORY.schema(), "mode", "Store")
    assert [output["name"] for output in storing["outputs"]] == ["stored_messages"]
    assert storing["template"]["message"]["show"]
    assert not storing["template"]["n_messages"]["show"]
    reading = MEMORY.updated(storing, "mode", "Retrieve")
    names = [output["name"] for output in reading["outputs"]]
    assert names == ["messages_text", "dataframe"]
    assert not reading["template"]["message"]["show"]
    assert reading["template"]["n_messages"]["show"]


def test_the_outputs_follow_the_mode_whichever_field_changes() -> None:
    node = MEMORY.schema()
    node["template"]["mode"]["value"] = "Store"
    changed = MEMORY.updated(node, "sender_name", "Ann")
    assert [output["name"] for output in changed["outputs"]] == ["stored_messages"]
    assert changed["template"]["sender_name"]["value"] == "Ann"


def test_a_flow_of_old_keeps_its_choice_when_it_is_edited() -> None:
    node = MEMORY.schema()
    del node["template"]["sender_type"]
    node["template"]["sender"]["value"] = "Machine"
    template = MEMORY.updated(node, "n_messages", 5)["template"]
    assert template["sender_type"]["value"] == "Machine"
    assert template["sender"]["value"] == ""
