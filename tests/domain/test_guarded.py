"""Which fields of a flow a tweak may not touch."""

import copy
from typing import Any

import pytest

from domain.run.graph import Graph
from domain.run.guarded import (
    CredentialTweakError,
    GuardedTweakError,
    TweakedAttributeError,
    check_guarded,
)
from tests.domain.documents import component, vertex


def drawn(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "data": component(name.rsplit("-", 1)[0], **fields)}


def text(**more: Any) -> dict[str, Any]:
    return {"type": "str", "value": "", **more}


DOCUMENT: dict[str, Any] = {
    "nodes": [
        drawn(
            "Model-1",
            base_url=text(),
            api_key=text(password=True),
            model_name=text(),
            portion=text(),
        ),
        drawn("SQLExecutor-1", query=text(), database_url=text()),
        drawn("Search-1", query=text()),
        drawn("Tools-1", mcp_server={"type": "mcp", "value": ""}, command=text()),
    ],
    "edges": [],
}
GROUPED: dict[str, Any] = {"nodes": [vertex("Group-1")], "edges": []}
GROUPED["nodes"][0]["data"]["node"]["flow"] = {"data": DOCUMENT}


def check(tweaks: Any, document: Any = DOCUMENT, *, may_edit: bool = True) -> None:
    check_guarded(Graph.of(document), tweaks, may_edit=may_edit)


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Model-1": {"base_url": "http://evil"}},
        {"Model": {"base_url": {"value": "http://evil"}}},
        {"base_url": "http://evil"},
        {"SQLExecutor-1": {"query": "DROP TABLE users"}},
        {"SQLExecutor-1": {"database_url": "postgresql://evil"}},
        {"Tools-1": {"mcp_server": {"value": {"name": "evil"}}}},
        {"Tools-1": {"command": "sh"}},
        {"query": "DROP TABLE users"},
    ],
)
def test_attack_a3_addresses_commands_and_sql_are_the_flows(tweaks: Any) -> None:
    with pytest.raises(GuardedTweakError):
        check(tweaks)


def test_attack_a3_a_group_hides_no_address() -> None:
    with pytest.raises(GuardedTweakError):
        check({"Group-1": {"base_url_Model-1": "http://evil"}}, GROUPED)


def test_what_else_a_component_has_may_be_tweaked() -> None:
    check(
        {
            "Model-1": {"model_name": "b", "api_key": "mine", "portion": 1},
            "Search-1": {"query": "cats"},
            "nothing": "here",
            "Nobody-1": {"base_url": "http://elsewhere"},
        }
    )


def test_whoever_draws_a_flow_may_let_callers_change_a_field() -> None:
    document = copy.deepcopy(DOCUMENT)
    template = document["nodes"][0]["data"]["node"]["template"]
    template["base_url"]["api_editable"] = True
    template["api_key"]["api_editable"] = True

    check({"base_url": "http://mine", "api_key": "mine"}, document, may_edit=False)
    with pytest.raises(TweakedAttributeError):
        check({"Model-1": {"base_url": {"value": "x", "type": "code"}}}, document)


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Model-1": {"api_key": "mine"}},
        {"api_key": "mine"},
        {"Model-1": {"model_name": {"value": "SECRET", "load_from_db": True}}},
    ],
)
def test_who_may_only_run_changes_no_credential_nor_variable(tweaks: Any) -> None:
    check(tweaks)
    with pytest.raises(CredentialTweakError):
        check(tweaks, may_edit=False)


@pytest.mark.parametrize("attribute", ["type", "password", "name", "api_editable"])
def test_a_tweak_changes_no_kind_of_field(attribute: str) -> None:
    with pytest.raises(TweakedAttributeError):
        check({"Model-1": {"model_name": {"value": "x", attribute: True}}})
