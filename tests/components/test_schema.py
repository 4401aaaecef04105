"""The catalogue speaks LangBuilder's field language, in words of its own."""

from typing import Any

import pytest

from application.ports.components import UnknownComponentError
from infrastructure.components.registry import BuiltinComponents
from infrastructure.components.templates import variables
from tests.components.shared import their_components, their_nodes

COMPONENTS = BuiltinComponents()
TYPES = [
    *("ChatInput", "ChatOutput", "TextInput", "TextOutput", "Prompt Template"),
    *("Memory", "LanguageModelComponent", "ParserComponent", "TypeConverterComponent"),
    *("Webhook", "File"),
]
PROSE = {"info", "description", "documentation"}
# Ours differ on purpose: more providers, and model names may be typed in.
OURS = {
    ("LanguageModelComponent", "provider"): {"options", "options_metadata"},
    ("LanguageModelComponent", "model_name"): {"combobox"},
    ("File", "path"): {"fileTypes"},  # those that this server reads
}
ADDED = {"LanguageModelComponent": ["base_url"]}


def ours(type_name: str) -> dict[str, Any]:
    return COMPONENTS.of(type_name).schema()


def without(mapping: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in names}


@pytest.mark.parametrize("type_name", TYPES)
def test_a_component_looks_like_langbuilders(type_name: str) -> None:
    theirs, mine = their_components()[type_name], ours(type_name)
    apart = PROSE | {"category", "type", "template", "metadata", "field_order"}
    assert without(mine, apart) == without(theirs, apart)
    assert mine["metadata"]["module"] == theirs["metadata"]["module"]
    assert mine["metadata"].keys() == theirs["metadata"].keys()
    added = ADDED.get(type_name, [])
    assert mine["field_order"] == [*theirs["field_order"], *added]
    assert COMPONENTS.of(type_name).category == theirs["category"]


@pytest.mark.parametrize("type_name", TYPES)
def test_its_fields_are_langbuilders(type_name: str) -> None:
    theirs, mine = their_components()[type_name]["template"], ours(type_name)
    added = ADDED.get(type_name, [])
    assert set(mine["template"]) == {*theirs, *added}
    for name, field in theirs.items():
        if isinstance(field, dict):
            apart = PROSE | OURS.get((type_name, name), set())
            apart |= {"value"} if name == "code" else set()
            assert without(mine["template"][name], apart) == without(field, apart)


@pytest.mark.parametrize("type_name", TYPES)
def test_its_sentences_are_not_copied(type_name: str) -> None:
    theirs, mine = their_components()[type_name], ours(type_name)
    assert mine["description"] != theirs.get("description")
    for name, field in mine["template"].items():
        if isinstance(field, dict) and field["info"]:
            said = theirs["template"].get(name, {}).get("info")
            assert field["info"] != said


@pytest.mark.parametrize("type_name", TYPES)
def test_source_is_only_a_name(type_name: str) -> None:
    assert ours(type_name)["template"]["code"]["value"] == f"# builtin: {type_name}"


@pytest.mark.parametrize("type_name", TYPES)
def test_a_schema_is_nobody_elses(type_name: str) -> None:
    ours(type_name)["template"]["code"]["value"] = "spoilt"
    assert ours(type_name)["template"]["code"]["value"] != "spoilt"


def test_the_catalogue_holds_every_component_in_its_category() -> None:
    found = {
        type_name: category
        for category, components in COMPONENTS.catalogue().items()
        for type_name in components
    }
    assert found == {name: COMPONENTS.of(name).category for name in TYPES}


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ("Prompt", "Prompt Template"),
        ("parser", "ParserComponent"),
        ("Parser", "ParserComponent"),
        ("Memory", "Memory"),
    ],
)
def test_names_of_old_still_work(old: str, now: str) -> None:
    assert COMPONENTS.of(old).type == now


def test_an_unknown_type_is_refused_with_its_name_and_what_to_do() -> None:
    with pytest.raises(UnknownComponentError, match=r"AstraDB.*Replace it by one of"):
        COMPONENTS.of("AstraDB")


def known_nodes() -> list[tuple[str, dict[str, Any]]]:
    return [
        (flow, data) for flow, data in their_nodes() if data.get("type") in _known()
    ]


def _known() -> set[str]:
    return {*TYPES, "Prompt", "parser"}


def test_every_field_of_a_real_flow_is_one_we_know() -> None:
    strangers = {
        (flow, data["type"], field)
        for flow, data in known_nodes()
        for field in set(data["node"]["template"]) - handled(data)
    }
    assert strangers == set()


def handled(data: dict[str, Any]) -> set[str]:
    component = COMPONENTS.of(data["type"])
    node = component.schema()
    known = set(node["template"])
    if component.type == "ParserComponent":
        known |= set(component.updated(node, "mode", "Stringify")["template"])
    if component.type == "Prompt Template":
        known |= set(variables(data["node"]["template"]["template"]["value"]))
    return known


def test_every_output_of_a_real_flow_is_one_we_build() -> None:
    strangers = {
        (flow, data["type"], output["name"])
        for flow, data in known_nodes()
        for output in data["node"]["outputs"]
        if not COMPONENTS.of(data["type"]).has_output(output["name"])  # type: ignore[attr-defined] # every one of ours has it
    }
    assert strangers == set()


def test_a_component_is_recognised_by_its_stub() -> None:
    for name in TYPES:
        found = COMPONENTS.recognised(f"# builtin: {name}", {})
        assert found.type == name


def test_a_component_is_recognised_by_the_name_in_its_source() -> None:
    source = 'class PromptComponent(Component):\n    name = "Prompt"\n    x = 1 / 0\n'
    assert COMPONENTS.recognised(source, {}).type == "Prompt Template"


def test_a_component_without_source_is_recognised_by_its_fields() -> None:
    for name in TYPES:
        template = ours(name)["template"]
        found = COMPONENTS.recognised("", template).type
        assert found.startswith("Text") if name == "TextOutput" else found == name
    foreign: dict[str, Any] = {key: {} for key in ("code", "input_value", "a", "b")}
    with pytest.raises(UnknownComponentError):
        COMPONENTS.recognised("", foreign)


def test_a_component_of_a_real_flow_is_recognised_without_its_source() -> None:
    for flow, data in known_nodes():
        found = COMPONENTS.recognised("", data["node"]["template"])
        assert (flow, found.type) == (flow, COMPONENTS.of(data["type"]).type)


def test_foreign_source_is_refused() -> None:
    with pytest.raises(UnknownComponentError, match="never executed"):
        COMPONENTS.recognised("class Mine(Component):\n    pass\n", {})
