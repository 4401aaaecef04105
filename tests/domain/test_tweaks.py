"""What a request may change of a flow for one run."""

import copy
from typing import Any

import pytest

from application.execution.inputs import converted
from domain.run.asked import Asked
from domain.run.graph import Graph
from domain.run.tweaks import ConflictingTweakError, ForbiddenTweakError, templates
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
            python={"type": "code", "value": "1"},
        ),
    ],
    "edges": [],
}
GROUPED: dict[str, Any] = {"nodes": [vertex("Group-1")], "edges": []}
GROUPED["nodes"][0]["data"]["node"]["flow"] = {"data": DOCUMENT}


def filled(document: Any = DOCUMENT, **asked: Any) -> dict[str, Any]:
    """Return the templates of *document* for a request, in the session "s"."""
    return templates(Graph.of(document), Asked(**asked), session="s")


@pytest.mark.parametrize("key", ["Model-1", "Model"])
def test_a_vertex_is_tweaked_by_id_or_display_name(key: str) -> None:
    before = copy.deepcopy(DOCUMENT)
    given = filled(tweaks={key: {"model_name": "b", "none": 1}})

    assert given["Model-1"]["model_name"] == {
        "type": "str",
        "value": "b",
        "load_from_db": True,
    }
    assert "none" not in given["Model-1"]
    assert before == DOCUMENT


def test_an_object_sets_several_attributes() -> None:
    change = {"value": "x", "load_from_db": False}
    given = filled(tweaks={"Model-1": {"model_name": change}})

    assert given["Model-1"]["model_name"] == {"type": "str"} | change


def test_any_other_value_is_set_everywhere_but_where_a_vertex_has_its_own() -> None:
    own = {"TextInput-1": {"input_value": "mine"}}
    given = filled(tweaks={"input_value": "all"} | own)

    assert given["ChatInput-1"]["input_value"]["value"] == "all"
    assert given["TextInput-1"]["input_value"]["value"] == "mine"


def test_streaming_follows_the_request_unless_tweaked() -> None:
    own = {"Model-1": {"stream": False}}

    assert filled(stream=True)["Model-1"]["stream"]["value"]
    assert not filled(stream=True, tweaks=own)["Model-1"]["stream"]["value"]
    assert not filled(stream=True, tweaks={"stream": False})["Model-1"]["stream"][
        "value"
    ]


@pytest.mark.parametrize("path", ["f/a.txt", {"value": "f/a.txt"}])
def test_files_and_nested_objects_are_set_in_their_own_way(path: Any) -> None:
    given = filled(tweaks={"Model-1": {"path": path, "extra": '{"a": 1}'}})

    assert given["Model-1"]["path"]["file_path"] == "f/a.txt"
    assert given["Model-1"]["extra"]["value"] == {"a": 1}


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Model-1": {"code": "x"}},
        {"Model": {"code": {"value": "x"}}},
        {"Model-1": {"python": "x"}},
        {"Group-1": {"code_Model-1": "x"}},
        {"ChatInput-1": {"code": "x"}},
        {"nobody": {"code": "x"}},
        {"code": "x"},
    ],
)
def test_source_code_is_not_tweaked(tweaks: dict[str, Any]) -> None:
    with pytest.raises(ForbiddenTweakError) as refused:
        filled(tweaks=tweaks)

    assert refused.value.sentence.startswith(
        "The source code of a component cannot be changed by a tweak: "
    )


@pytest.mark.parametrize(
    ("kind", "key"),
    [("chat", "ChatInput-1"), ("chat", "Chat Input"), ("text", "TextInput-1")],
)
def test_an_input_is_given_once(kind: str, key: str) -> None:
    tweaks = {key: {"input_value": "x"}}

    with pytest.raises(ConflictingTweakError):
        filled(tweaks=tweaks, input_value="y", input_type=kind)
    filled(tweaks=tweaks, input_type=kind)
    filled(tweaks=tweaks, input_value="y", input_type="any")


@pytest.mark.parametrize(
    ("kind", "chat", "text"),
    [("chat", "hi", "old"), ("text", "", "hi"), ("any", "hi", "hi")],
)
def test_an_input_goes_to_the_vertices_of_its_type(
    kind: str, chat: str, text: str
) -> None:
    given = filled(input_value="hi", input_type=kind, whole_run=True)

    assert given["ChatInput-1"]["input_value"]["value"] == chat
    assert given["TextInput-1"]["input_value"]["value"] == text


def test_the_editor_speaks_to_the_chat() -> None:
    given = filled(input_value="hi", input_type="text")

    assert given["ChatInput-1"]["input_value"]["value"] == "hi"
    assert given["TextInput-1"]["input_value"]["value"] == "old"


def test_an_input_can_be_meant_for_one_component() -> None:
    given = filled(input_value="hi", components=("TextInput-1",))

    assert given["ChatInput-1"]["input_value"]["value"] == ""
    assert given["TextInput-1"]["input_value"]["value"] == "hi"


@pytest.mark.parametrize(("whole_run", "other"), [(False, "mine"), (True, "s")])
def test_only_a_run_of_the_api_overwrites_sessions(whole_run: bool, other: str) -> None:
    given = filled(whole_run=whole_run)

    assert given["ChatInput-1"]["session_id"]["value"] == "s"
    assert given["TextInput-1"]["session_id"]["value"] == other
    assert "session_id" not in given["Model-1"]


def test_what_an_edge_feeds_is_left_alone() -> None:
    document = DOCUMENT | {
        "nodes": [*DOCUMENT["nodes"], vertex("A-1")],
        "edges": [
            edge("A-1", "TextInput-1", field="input_value"),
            edge("A-1", "ChatInput-1", field="session_id"),
        ],
    }
    given = filled(document, input_value="hi", input_type="any", whole_run=True)

    assert given["TextInput-1"]["input_value"]["value"] == "old"
    assert given["ChatInput-1"]["session_id"]["value"] == ""


def test_files_go_to_the_chat_input() -> None:
    given = filled(files=("f/a.png",))

    assert given["ChatInput-1"]["files"]["file_path"] == ["f/a.png"]


@pytest.mark.parametrize(
    "tweaks",
    [{"Model-1": {"model_name": "b"}}, {"Group-1": {"model_name_Model-1": "b"}}],
)
def test_vertices_inside_groups_are_reached(tweaks: dict[str, Any]) -> None:
    given = filled(GROUPED, tweaks=tweaks, input_value="hi")

    assert given["Model-1"]["model_name"]["value"] == "b"
    assert given["ChatInput-1"]["input_value"]["value"] == "hi"


def test_a_delivery_reaches_every_webhook_to_the_letter() -> None:
    document = {
        "nodes": [
            drawn("Webhook-1", data="", curl="CURL"),
            drawn("Webhook-2", data="typed in"),
            drawn("ChatInput-1", data="a field of its own"),
        ],
        "edges": [],
    }
    payload = '{"a": "x\\ny"}'

    given = filled(document, payload=payload, whole_run=True)

    for name in ("Webhook-1", "Webhook-2"):
        assert converted(given[name]["data"]) == payload
    assert given["ChatInput-1"]["data"]["value"] == "a field of its own"
    assert filled(document)["Webhook-2"]["data"]["value"] == "typed in"
