"""Messages enter a flow and leave it."""

import pytest

from application.ports.components import ComponentFailedError, Feed
from domain.run.values import Data, DataFrame, Message
from infrastructure.components.chat import ChatInput, ChatOutput
from infrastructure.components.text import TextInput, TextOutput
from tests.components.calls import FLOW, Call, build


async def test_what_the_user_says_is_kept_and_shown() -> None:
    call = Call(files={"f/a.png": b""})
    said = await build(ChatInput(), call, input_value="hello", files=["f/a.png", ""])
    assert call.emitted == [said]
    assert (said.text, said.sender, said.sender_name) == ("hello", "User", "User")
    assert (said.session_id, said.flow_id) == ("session", str(FLOW))
    assert said.files == ["f/a.png"]
    assert said.id is not None


async def test_a_message_is_not_kept_when_told_so_or_without_a_session() -> None:
    silent, nowhere = Call(), Call(session="")
    said = await build(ChatInput(), silent, input_value="a", should_store_message=False)
    await build(ChatOutput(), nowhere, input_value="a")
    assert said.text == "a"
    assert silent.emitted == nowhere.emitted == []


async def test_a_vertexs_own_session_goes_before_the_runs() -> None:
    said = await build(ChatInput(), input_value="a", session_id="mine")
    assert said.session_id == "mine"


async def test_the_answer_names_where_it_comes_from() -> None:
    feed = Feed("LanguageModel-x", "Language Model", "brain-circuit", "gpt-4o-mini")
    call = Call(feeds={"input_value": [feed]})
    said = await build(ChatOutput(), call, input_value=Message(text="hi"))
    source = said.properties.source
    assert (said.sender, said.sender_name) == ("Machine", "AI")
    assert (source.id, source.display_name) == ("LanguageModel-x", "Language Model")
    assert source.source == "gpt-4o-mini"
    assert said.properties.icon == "brain-circuit"


async def test_a_source_without_a_model_is_called_by_its_name() -> None:
    call = Call(feeds={"input_value": [Feed("Prompt-x", "Prompt", "braces")]})
    said = await build(ChatOutput(), call, input_value="x", chat_icon="Bird")
    assert said.properties.source.source == "Prompt"
    assert said.properties.icon == "Bird"


async def test_an_answer_is_a_new_message_even_when_it_repeats_one() -> None:
    heard = Message(text="a", sender="User", id="1", files=["f"], session_id="old")
    said = await build(ChatOutput(), Call(), input_value=heard)
    assert said.id != "1"
    assert (said.sender, said.session_id, said.files) == ("Machine", "session", ["f"])
    assert heard.id == "1"


async def test_a_sender_without_a_name_gets_the_usual_one() -> None:
    said = await build(ChatOutput(), input_value="x", sender_name="", sender="")
    assert (said.sender, said.sender_name) == ("Machine", "AI")


async def test_a_sender_may_be_named_by_another_vertex() -> None:
    said = await build(ChatOutput(), input_value="x", sender_name=Message(text="Robo"))
    assert said.sender_name == "Robo"


async def test_records_and_tables_are_answered_as_text() -> None:
    record = Data(data={"text": "a", "who": "me"})
    table = DataFrame(rows=[{"a": 1}, {"a": ""}])
    assert (await build(ChatOutput(), input_value=record)).text == "a"
    templated = await build(
        ChatOutput(), input_value=[record, record], data_template="{who}: {text}"
    )
    assert templated.text == "me: a\nme: a"
    answered = await build(ChatOutput(), input_value=table)
    assert answered.text == "| a |\n| :--- |\n| 1 |"


async def test_a_bad_data_template_says_where_it_is() -> None:
    with pytest.raises(ComponentFailedError, match="Data Template"):
        await build(ChatOutput(), input_value=Data(), data_template="{0.__class__}")


async def test_text_goes_in_and_out() -> None:
    assert (await build(TextInput(), input_value="a")).text == "a"
    assert (await build(TextOutput(), input_value=Message(text="b"))).text == "b"
    assert (await build(TextOutput(), input_value=DataFrame(rows=[{"c": 1}]))).text


async def test_an_output_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ComponentFailedError, match="no output “gone”"):
        await build(TextInput(), Call(wanted=["gone"]), input_value="a")
