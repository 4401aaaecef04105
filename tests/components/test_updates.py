"""Components follow what the editor changes."""

from typing import Any

import pytest

from application.ports.components import ComponentFailedError
from infrastructure.components.language_model import LanguageModel
from infrastructure.components.memory import Memory
from infrastructure.components.models import PROVIDERS
from infrastructure.components.registry import BuiltinComponents
from infrastructure.components.type_convert import TypeConvert
from tests.components.calls import Call, build

MODEL, MEMORY = LanguageModel(), Memory()


def template_for(provider: str) -> dict[str, Any]:
    node = MODEL.updated(MODEL.schema(), "provider", provider)
    template: dict[str, Any] = node["template"]
    return template


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_brings_its_models_and_its_keys_name(provider: str) -> None:
    template = template_for(provider)
    model = template["model_name"]
    assert model["value"] == model["options"][0] == PROVIDERS[provider].models[0]
    assert template["api_key"]["display_name"] == f"{provider} API Key"


def test_anthropics_models_are_claudes() -> None:
    options = template_for("Anthropic")["model_name"]["options"]
    assert all(name.startswith("claude-") for name in options)


@pytest.mark.parametrize(
    ("provider", "key", "url"),
    [
        *(("OpenAI", True, False), ("Anthropic", True, False)),
        *(("Ollama", False, True), ("Demo", False, False)),
    ],
)
def test_only_what_a_provider_needs_is_shown(
    provider: str, key: bool, url: bool
) -> None:
    template = template_for(provider)
    assert template["api_key"]["show"] is key
    assert template["base_url"]["show"] is url


def test_a_key_that_was_typed_in_stays() -> None:
    node = MODEL.updated(MODEL.schema(), "api_key", "MY_VARIABLE")
    node = MODEL.updated(node, "provider", "Google")
    assert node["template"]["api_key"]["value"] == "MY_VARIABLE"


def test_another_field_leaves_the_model_alone() -> None:
    node = MODEL.updated(MODEL.schema(), "provider", "Anthropic")
    node = MODEL.updated(node, "model_name", "a-model-of-tomorrow")
    node = MODEL.updated(node, "api_key", "x")
    assert node["template"]["model_name"]["value"] == "a-model-of-tomorrow"


def test_an_unknown_provider_is_left_as_it_is() -> None:
    node = MODEL.updated(MODEL.schema(), "provider", "Nobody")
    assert node["template"]["provider"]["value"] == "Nobody"


def test_a_flow_of_old_gains_the_fields_it_lacks() -> None:
    node = MODEL.schema()
    del node["template"]["base_url"]
    changed = MODEL.updated(node, "provider", "Ollama")
    assert changed["template"]["base_url"]["show"]
    assert "base_url" not in node["template"]


def test_a_field_nobody_knows_changes_nothing() -> None:
    node = MODEL.schema()
    assert MODEL.updated(node, "nonsense", 1)["template"] == node["template"]


def test_tool_mode_replaces_the_outputs_and_gives_them_back() -> None:
    tool = MEMORY.updated(MEMORY.schema(), "tool_mode", True)
    (output,) = tool["outputs"]
    assert (output["name"], output["types"]) == ("component_as_tool", ["Tool"])
    assert tool["tool_mode"] is True
    rows = tool["template"]["tools_metadata"]["value"]
    assert [row["name"] for row in rows] == [
        "retrieve_messages_as_text",
        "retrieve_messages_dataframe",
    ]
    assert rows[0]["status"] is True
    assert "order" in rows[0]["args"]
    back = MEMORY.updated(tool, "tool_mode", False)
    assert back["outputs"] == MEMORY.schema()["outputs"]
    assert "tools_metadata" not in back["template"]


def test_a_tools_edited_names_survive_another_change() -> None:
    tool = MEMORY.updated(MEMORY.schema(), "tool_mode", True)
    tool["template"]["tools_metadata"]["value"][0]["status"] = False
    again = MEMORY.updated(tool, "n_messages", 3)
    assert again["template"]["tools_metadata"]["value"][0]["status"] is False
    assert [output["name"] for output in again["outputs"]] == ["component_as_tool"]


def test_leaving_tool_mode_gives_the_outputs_the_settings_ask_for() -> None:
    convert = TypeConvert()
    node = convert.updated(convert.schema(), "output_type", "Data")
    tool = convert.updated(node, "tool_mode", True)
    assert convert.updated(tool, "tool_mode", False)["outputs"] == node["outputs"]


async def test_a_tool_without_an_agent_says_so() -> None:
    with pytest.raises(ComponentFailedError, match="tool mode"):
        await build(MEMORY, Call(wanted=["component_as_tool"]))


TYPES = [
    type_name
    for components in BuiltinComponents().catalogue().values()
    for type_name in components
]


@pytest.mark.parametrize("type_name", TYPES)
@pytest.mark.parametrize("nonsense", [None, 1, "x", [[]], {"value": {}}, {}])
def test_nonsense_from_an_editor_breaks_nothing(type_name: str, nonsense: Any) -> None:
    component = BuiltinComponents().of(type_name)
    names = component.schema()["field_order"]
    empty = component.updated({"template": {}}, names[0], nonsense)
    assert set(component.schema()["template"]) <= set(empty["template"])
    for name in names:
        component.updated({"template": dict.fromkeys(names, nonsense)}, name, nonsense)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_change_that_changes_nothing_leaves_a_component_as_it_is(
    type_name: str,
) -> None:
    component = BuiltinComponents().of(type_name)
    node = component.updated(component.schema(), "code", "")
    assert component.updated(node, "code", "") == node
