"""Prompts: their variables are inlets."""

from typing import Any

import pytest

from application.ports.components import ComponentFailedError
from domain.run.values import Data, DataFrame, Message
from infrastructure.components.prompts import PromptTemplate, validate_prompt
from infrastructure.components.templates import InvalidTemplateError
from tests.components.calls import build
from tests.components.shared import their_nodes

PROMPT = PromptTemplate()


async def test_a_prompt_is_put_together() -> None:
    said = await build(
        PROMPT,
        template="{a}, {{b}}, {c}, {d}, {missing}!",
        a=Message(text="A"),
        c=Data(data={"text": "C"}),
        d=["D", "E"],
    )
    assert said.text == "A, {b}, C, D\nE, !"


async def test_a_table_stands_in_a_prompt_as_markdown() -> None:
    table = DataFrame(rows=[{"x": 1}])
    assert (await build(PROMPT, template="{t}", t=table)).text.startswith("| x |")


async def test_a_variables_text_is_never_read_as_a_template() -> None:
    said = await build(PROMPT, template="{a}", a="{0.__class__} {b}", b="secret")
    assert said.text == "{0.__class__} {b}"


@pytest.mark.parametrize("template", ["{a.__class__}", "{0.__class__}", "{a[b]}", "{"])
async def test_no_prompt_reaches_into_an_object(template: str) -> None:
    with pytest.raises(ComponentFailedError, match="In “Template”"):
        await build(PROMPT, template=template, a=Message(text="x"))


def node_of(template: str) -> dict[str, Any]:
    return PROMPT.updated(PROMPT.schema(), "template", template)


def test_each_variable_becomes_a_field() -> None:
    found, node = validate_prompt("template", "Hi {a} {b}", {}, PROMPT.schema())
    assert found == ["a", "b"]
    assert node is not None
    assert node["custom_fields"] == {"template": ["a", "b"]}
    assert node["template"]["template"]["value"] == "Hi {a} {b}"
    field = node["template"]["a"]
    assert field["input_types"] == ["Message"]
    assert (field["field_type"], field["type"]) == ("str", "str")
    assert "_input_type" not in field


def test_a_variables_field_is_langbuilders() -> None:
    theirs = next(
        data["node"]["template"]["context"]
        for flow, data in their_nodes()
        if flow == "test-memorychatbotnollm" and data["type"] == "Prompt"
    )
    assert node_of("{context}")["template"]["context"] == theirs


def test_kept_variables_keep_their_values_and_others_go() -> None:
    node = node_of("{a} {b}")
    node["template"]["a"]["value"] = "kept"
    found, changed = validate_prompt("template", "{a} {c}", node["custom_fields"], node)
    assert changed is not None
    assert found == ["a", "c"]
    assert changed["template"]["a"]["value"] == "kept"
    assert "b" not in changed["template"]
    assert "c" in changed["template"]
    assert "b" in node["template"]


def test_without_an_object_there_is_nothing_to_fit() -> None:
    assert validate_prompt("template", "Hi {a}") == ([], None)


@pytest.mark.parametrize("template", ["{a b}", "{code}", "{0.__class__}", "{"])
def test_a_bad_template_is_refused(template: str) -> None:
    with pytest.raises(InvalidTemplateError):
        validate_prompt("template", template, {}, PROMPT.schema())


def test_the_editor_may_set_a_half_typed_template() -> None:
    assert node_of("{a} {")["template"]["template"]["value"] == "{a} {"


def test_every_prompt_of_a_real_flow_can_be_read() -> None:
    for _, data in their_nodes():
        if data["type"] == "Prompt":
            node = data["node"]
            found, again = validate_prompt(
                "template",
                node["template"]["template"]["value"],
                node["custom_fields"],
                node,
            )
            assert again is not None
            assert set(found) == set(node["custom_fields"].get("template", found))


def test_variables_are_known_even_where_nobody_kept_a_list() -> None:
    node = {**node_of("{a} {b}"), "custom_fields": {}}
    changed = PROMPT.updated(node, "template", "{b}")
    assert "a" not in changed["template"]
    assert changed["custom_fields"] == {"template": ["b"]}
    again = PROMPT.updated({**changed, "custom_fields": {}}, "tool_mode", True)
    assert again["custom_fields"] == {"template": ["b"]}


@pytest.mark.parametrize("nonsense", [None, 1, "x", [{}], {"template": [{}, 1]}])
def test_nonsense_from_an_editor_counts_as_nothing(nonsense: Any) -> None:
    custom = {"template": nonsense}
    node = {"template": nonsense, "custom_fields": custom}
    found, changed = validate_prompt("template", "{a}", custom, node)
    assert found == ["a"]
    assert changed is not None
    assert "a" in changed["template"]
