"""The demo model needs nothing, and says what it is."""

import json
import subprocess
import sys

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

from infrastructure.components.language_model import LanguageModel
from infrastructure.components.providers.demo import DemoModel
from tests.components.calls import Call, build


async def ask(call: Call, **more: str) -> str:
    fields = {"provider": "Demo", "model_name": "scripted-demo", **more}
    said = await build(LanguageModel(), call, **fields)
    return str(said.text)


async def test_it_answers_without_a_key_and_calls_itself_a_demo() -> None:
    call = Call()
    text = await ask(call, input_value="Good day", system_message="Be kind.\nBe brief.")
    assert "You said: “Good day”" in text
    assert "> Be kind.\n> Be brief." in text
    assert "scripted demo" in text
    (counted,) = call.model_calls
    assert (counted["input_tokens"], counted["output_tokens"]) == (6, len(text.split()))


async def test_it_says_the_same_to_the_same_and_streams_it_word_by_word() -> None:
    whole = await ask(Call(), input_value="Good day")
    call = Call(speaking=True)
    assert await ask(call, input_value="Good day") == whole == "".join(call.tokens)
    assert len(call.tokens) == len(whole.split())


@tool
def add_numbers(a: int, b: float, note: str) -> str:
    """Add two numbers."""
    return f"{a + b} {note}"


@tool
def today() -> str:
    """Tell the date."""
    return "Monday"


async def test_it_calls_the_tool_that_is_named_and_reports_the_result() -> None:
    model = DemoModel(pause=0).bind_tools([today, add_numbers])
    said = HumanMessage("please add numbers 2 and 3.5 “with care”")
    asked = await model.ainvoke([said])
    (call,) = asked.tool_calls
    assert call["name"] == "add_numbers"
    assert call["args"] == {"a": 2, "b": 3.5, "note": "with care"}
    assert (await streamed(model, said)).tool_calls == asked.tool_calls
    result = ToolMessage("5.5", tool_call_id=call["id"], name="add_numbers")
    answer = await model.ainvoke([said, asked, result])
    assert "The tool “add_numbers” answered: 5.5" in answer.text
    assert not answer.tool_calls


async def streamed(model: object, said: HumanMessage) -> AIMessage:
    chunks = [chunk async for chunk in model.astream([said])]  # type: ignore[attr-defined] # a bound model streams
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    assert isinstance(whole, AIMessage)
    return whole


async def test_it_answers_in_words_when_no_tool_is_named() -> None:
    model = DemoModel().bind_tools([today])
    assert not (await model.ainvoke("Good day")).tool_calls


@pytest.mark.slow
def test_nothing_heavy_is_imported_before_a_model_is_asked() -> None:
    script = (
        "import json, sys\n"
        "from infrastructure.components.starters import starter_flows\n"
        "starter_flows()\n"
        "heavy = ('langchain', 'openai', 'httpx', 'pydantic')\n"
        "print(json.dumps([m for m in sys.modules if m.startswith(heavy)]))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": "src:."},
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(said.stdout) == []
