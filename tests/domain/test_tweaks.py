"""What a request may change of a flow for one run."""

import copy
from typing import Any

import pytest

from domain.run.tweaks import (
    ConflictingTweakError,
    ForbiddenTweakError,
    apply_inputs,
    apply_tweaks,
    check_tweaks,
)
from tests.domain.documents import component, edge, vertex


def drawn(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": name, "data": component(name.rsplit("-", 1)[0], **fields)}


DOCUMENT: dict[str, Any] = {
    "nodes": [
        drawn("ChatInput-1", input_value="", session_id="", files={"type": "file"}),
        drawn("TextInput-1", input_value="old", session_id="mine"),
        drawn(
            "Model-1",
            model_name={"type": "str", "value": "a", "load_from_db": True},
            stream={"type": "bool", "value": False},
            extra={"type": "NestedDict", "value": {}},
            path={"type": "file", "value": "", "file_path": ""},
            code={"type": "code", "value": "import os"},
        ),
    ],
    "edges": [],
}


def held(document: Any, name: str, field: str) -> dict[str, Any]:
    for node in document["nodes"]:
        if node["id"] == name:
            found: dict[str, Any] = node["data"]["node"]["template"][field]
            return found
    raise AssertionError(name)


@pytest.mark.parametrize("key", ["Model-1", "Model"])
def test_a_vertex_is_tweaked_by_id_or_display_name(key: str) -> None:
    before = copy.deepcopy(DOCUMENT)
    tweaked = apply_tweaks(DOCUMENT, {key: {"model_name": "b", "none": 1}})

    assert held(tweaked, "Model-1", "model_name") == {
        "type": "str",
        "value": "b",
        "load_from_db": True,
    }
    assert before == DOCUMENT


def test_an_object_sets_several_attributes() -> None:
    change = {"value": "x", "load_from_db": False}
    tweaked = apply_tweaks(DOCUMENT, {"Model-1": {"model_name": change}})

    assert held(tweaked, "Model-1", "model_name") == {"type": "str"} | change


def test_any_other_value_is_set_everywhere() -> None:
    tweaked = apply_tweaks(DOCUMENT, {"input_value": "all"})

    assert held(tweaked, "ChatInput-1", "input_value")["value"] == "all"
    assert held(tweaked, "TextInput-1", "input_value")["value"] == "all"


def test_streaming_follows_the_request_unless_tweaked() -> None:
    own = {"Model-1": {"stream": False}}

    assert held(apply_tweaks(DOCUMENT, {}, stream=True), "Model-1", "stream")["value"]
    assert not held(apply_tweaks(DOCUMENT, own, stream=True), "Model-1", "stream")[
        "value"
    ]


def test_files_and_nested_objects_are_set_in_their_own_way() -> None:
    tweaked = apply_tweaks(
        DOCUMENT, {"Model-1": {"path": "f/a.txt", "extra": '{"a": 1}'}}
    )

    assert held(tweaked, "Model-1", "path")["file_path"] == "f/a.txt"
    assert held(tweaked, "Model-1", "extra")["value"] == {"a": 1}


@pytest.mark.parametrize(
    "tweaks",
    [{"Model-1": {"code": "x"}}, {"Model": {"code": {"value": "x"}}}, {"code": "x"}],
)
def test_source_code_is_not_tweaked(tweaks: dict[str, Any]) -> None:
    with pytest.raises(ForbiddenTweakError):
        apply_tweaks(DOCUMENT, tweaks)


@pytest.mark.parametrize(
    ("kind", "key"),
    [("chat", "ChatInput-1"), ("chat", "Chat Input"), ("text", "TextInput-1")],
)
def test_an_input_is_given_once(kind: str, key: str) -> None:
    tweaks = {key: {"input_value": "x"}}

    with pytest.raises(ConflictingTweakError):
        check_tweaks(DOCUMENT, tweaks, input_value="y", input_type=kind)
    check_tweaks(DOCUMENT, tweaks, input_value=None, input_type=kind)
    check_tweaks(DOCUMENT, tweaks, input_value="y", input_type="any")


@pytest.mark.parametrize(
    ("kind", "chat", "text"),
    [("chat", "hi", "old"), ("text", "", "hi"), ("any", "hi", "hi")],
)
def test_an_input_goes_to_the_vertices_of_its_type(
    kind: str, chat: str, text: str
) -> None:
    given = apply_inputs(
        DOCUMENT, session="s", input_value="hi", input_type=kind, whole_run=True
    )

    assert held(given, "ChatInput-1", "input_value")["value"] == chat
    assert held(given, "TextInput-1", "input_value")["value"] == text


def test_an_input_can_be_meant_for_one_component() -> None:
    given = apply_inputs(
        DOCUMENT, session="s", input_value="hi", components=["TextInput-1"]
    )

    assert held(given, "ChatInput-1", "input_value")["value"] == ""
    assert held(given, "TextInput-1", "input_value")["value"] == "hi"


@pytest.mark.parametrize(("whole_run", "other"), [(False, "mine"), (True, "s")])
def test_only_a_run_of_the_api_overwrites_sessions(whole_run: bool, other: str) -> None:
    given = apply_inputs(DOCUMENT, session="s", whole_run=whole_run)

    assert held(given, "ChatInput-1", "session_id")["value"] == "s"
    assert held(given, "TextInput-1", "session_id")["value"] == other


def test_what_an_edge_feeds_is_left_alone() -> None:
    document = DOCUMENT | {
        "nodes": [*DOCUMENT["nodes"], vertex("A-1")],
        "edges": [
            edge("A-1", "TextInput-1", field="input_value"),
            edge("A-1", "ChatInput-1", field="session_id"),
        ],
    }
    given = apply_inputs(
        document, session="s", input_value="hi", input_type="any", whole_run=True
    )

    assert held(given, "TextInput-1", "input_value")["value"] == "old"
    assert held(given, "ChatInput-1", "session_id")["value"] == ""


def test_files_go_to_the_chat_input() -> None:
    given = apply_inputs(DOCUMENT, session="s", files=["f/a.png"])

    assert held(given, "ChatInput-1", "files")["file_path"] == ["f/a.png"]


def test_vertices_inside_groups_are_reached() -> None:
    group = vertex("Group-1")
    group["data"]["node"]["flow"] = {"data": DOCUMENT}
    whole = {"nodes": [group], "edges": []}
    tweaked = apply_tweaks(whole, {"Model-1": {"model_name": "b"}})
    given = apply_inputs(tweaked, session="s", input_value="hi")

    inside = given["nodes"][0]["data"]["node"]["flow"]["data"]
    assert held(inside, "Model-1", "model_name")["value"] == "b"
    assert held(inside, "ChatInput-1", "input_value")["value"] == "hi"
