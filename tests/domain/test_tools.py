"""A flow as a tool: its name, what it takes, and what it refuses."""

from typing import Any

import pytest
from hypothesis import given, strategies

from domain.kernel import Json
from domain.run.tools import (
    LONGEST_NAME,
    Argument,
    UnwelcomeArgumentError,
    arguments_of,
    check_arguments,
    schema_of,
    tool_description,
    tool_name,
    tool_names,
    tweaks_for,
)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Basic Prompting", "basic_prompting"),
        ("Ünïcode — größer", "unicode_grosser"),
        ("  --  ", "unnamed"),
        ("流程", "unnamed"),
        ("3 wishes 🧞", "_3_wishes"),
        ("a" * 40, "a" * 30),
        ("twenty nine letters long word x", "twenty_nine_letters_long_word"),
    ],
)
def test_a_name_is_in_snake_case_and_short(words: str, name: str) -> None:
    assert tool_name(words) == name


@given(strategies.lists(strategies.text(max_size=50), max_size=30))
def test_whatever_flows_are_called_their_tools_are_told_apart(each: list[str]) -> None:
    names = tool_names(each)

    assert len(set(names)) == len(each)
    assert all(0 < len(name) <= LONGEST_NAME and name.isascii() for name in names)


def test_an_action_describes_a_tool_before_its_flow_does() -> None:
    assert tool_description("x", action="acts", flow="flows") == "acts"
    assert tool_description("x", action="", flow="flows") == "flows"
    assert tool_description("x") == "Tool generated from flow: x"


def drawn(**fields: Json) -> Json:
    template: dict[str, Any] = {"_type": "Component", **fields}
    node = {"display_name": "In", "template": template, "outputs": []}
    data = {"id": "TextInput-a", "type": "TextInput", "node": node}
    vertex = {"id": "TextInput-a", "type": "genericNode", "data": data}
    return {"nodes": [vertex], "edges": []}


def open_field(kind: str = "str", **more: Json) -> dict[str, Json]:
    return {"type": kind, "show": True, "advanced": False, "value": "", **more}


def test_a_tool_takes_the_visible_fields_of_input_vertices() -> None:
    document = drawn(
        input_value=open_field(info="Say it."),
        often=open_field("int", required=True),
        how_much=open_field("float"),
        really=open_field("bool"),
        when=open_field("date"),
        hidden=open_field(show=False),
        advanced=open_field(advanced=True),
        token=open_field(password=True),
        code=open_field("code"),
    )

    assert schema_of(arguments_of(document)) == {
        "type": "object",
        "properties": {
            "input_value": {"type": "string", "description": "Say it."},
            "often": {"type": "integer", "description": "Input value for often"},
            "how_much": {"type": "number", "description": "Input value for how_much"},
            "really": {"type": "boolean", "description": "Input value for really"},
            "when": {"type": "string", "description": "Input value for when"},
        },
        "required": ["often"],
    }


@pytest.mark.parametrize("document", [None, {}, {"nodes": [{"id": 3}], "edges": []}])
def test_what_cannot_be_carried_out_takes_nothing(document: Json) -> None:
    assert arguments_of(document) == []


OFTEN = Argument(
    name="often", kind="integer", description="", required=True, vertices=("V-a", "V-b")
)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "often is missing"),
        ({"often": "3"}, "often must be of type integer"),
        ({"often": True}, "often must be of type integer"),
        ({"often": {"load_from_db": True, "value": "KEY"}}, "of type integer"),
        ({"often": 3, "code": "x"}, "code is unknown; it takes often"),
        ({"often": 3, "session_id": 4}, "session_id must be of type string"),
    ],
)
def test_a_tool_says_what_is_wrong_with_its_arguments(
    arguments: dict[str, Json], why: str
) -> None:
    with pytest.raises(UnwelcomeArgumentError, match=why):
        check_arguments(arguments, [OFTEN])


def test_a3_an_argument_is_a_value_and_never_a_variables_name() -> None:
    check_arguments({"often": 3, "session_id": "s"}, [OFTEN])

    plain = {"often": {"value": 3, "load_from_db": False}}
    assert tweaks_for({"often": 3, "session_id": "s"}, [OFTEN]) == {
        "V-a": plain,
        "V-b": plain,
    }
