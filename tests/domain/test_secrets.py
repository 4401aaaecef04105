"""Secrets leave the document for the vault, and nobody gets at another's."""

import copy
import json
from typing import Any
from uuid import UUID

import pytest

from domain.flow.document import InvalidDocumentError
from domain.flow.secrets import (
    PLACEHOLDER,
    UnwelcomeTweakError,
    blank,
    hide,
    hide_tweaks,
    refs,
    reveal,
    reveal_tweaks,
    show,
)
from tests.domain.documents import component, vertex

KEY = {"type": "str", "password": True, "load_from_db": False, "value": "sk-123"}


class Vault:
    """Names secrets one after the other, and remembers them."""

    def __init__(self) -> None:
        self.secrets: dict[UUID, str] = {}

    def seal(self, plain: str) -> UUID:
        ref = UUID(int=len(self.secrets) + 1)
        self.secrets[ref] = plain
        return ref


def model(**key: Any) -> dict[str, Any]:
    data = component("Model", api_key=KEY | key, prompt="Say hello")
    return {"nodes": [{"id": "Model-1", "data": data}], "edges": []}


def value(document: Any) -> Any:
    return document["nodes"][0]["data"]["node"]["template"]["api_key"]["value"]


def grouped(document: Any) -> dict[str, Any]:
    group = vertex("Group-1")
    group["data"]["node"]["flow"] = {"data": document}
    return {"nodes": [group], "edges": []}


def test_a_literal_password_leaves_the_document() -> None:
    vault, drawn = Vault(), model()
    before = copy.deepcopy(drawn)
    hidden = hide(drawn, None, vault.seal)

    assert value(hidden.document) == {"$secret": str(UUID(int=1))}
    assert hidden.sealed == [(UUID(int=1), "sk-123")]
    assert hidden.destroyed == []
    assert "sk-123" not in json.dumps(hidden.document)
    assert reveal(hidden.document, vault.secrets) == drawn == before


def test_clients_see_a_placeholder_that_means_unchanged() -> None:
    vault = Vault()
    first = hide(model(), None, vault.seal).document
    shown = show(first)
    again = hide(shown, first, vault.seal)

    assert value(shown) == PLACEHOLDER
    assert again == (first, [], [])


def test_another_literal_destroys_the_one_before() -> None:
    vault = Vault()
    first = hide(model(), None, vault.seal).document
    hidden = hide(model(value="sk-456"), first, vault.seal)

    assert hidden.sealed == [(UUID(int=2), "sk-456")]
    assert hidden.destroyed == [UUID(int=1)]
    assert refs(hidden.document) == (UUID(int=2),)


def test_an_emptied_field_and_a_removed_vertex_destroy_their_secret() -> None:
    vault = Vault()
    first = hide(model(), None, vault.seal).document
    gone: dict[str, Any] = {"nodes": [], "edges": []}

    for document in (model(value=""), gone, None):
        assert hide(document, first, vault.seal).destroyed == [UUID(int=1)]


def test_the_name_of_a_variable_is_no_secret() -> None:
    named = model(load_from_db=True, value="OPENAI_API_KEY")

    assert hide(named, None, Vault().seal) == (named, [], [])
    assert blank(named) == show(named) == named


def test_a_file_holds_no_secret() -> None:
    hidden = hide(model(), None, Vault().seal).document

    assert value(blank(hidden)) == ""


def test_a_placeholder_with_nothing_before_it_is_empty() -> None:
    for key in ({}, {"load_from_db": True}):
        assert value(hide(model(value=PLACEHOLDER, **key), None, Vault().seal)[0]) == ""


def test_a_destroyed_secret_reads_as_empty() -> None:
    hidden = hide(model(), None, Vault().seal).document

    assert value(reveal(hidden, {})) == ""


@pytest.mark.parametrize("literal", [["a", "b"], {"user": "x"}, 1234])
def test_a_password_that_is_no_text_is_a_secret_too(literal: Any) -> None:
    vault = Vault()
    hidden = hide(model(value=literal), None, vault.seal).document

    assert value(show(hidden)) == PLACEHOLDER
    assert value(reveal(hidden, vault.secrets)) == literal


@pytest.mark.parametrize(("kind", "number"), [("int", 256), ("float", 0.5)])
def test_a_number_in_a_field_of_numbers_is_no_secret(kind: str, number: float) -> None:
    vault, drawn = Vault(), model(type=kind, value=number)

    assert hide(drawn, None, vault.seal).document == drawn
    assert vault.secrets == {}
    words = hide(model(type=kind, value="sk-123"), None, vault.seal).document
    assert value(show(words)) == PLACEHOLDER


def test_secrets_inside_groups_are_hidden_and_survive_grouping() -> None:
    vault = Vault()
    inside = hide(grouped(grouped(model())), None, vault.seal)
    assert inside.sealed == [(UUID(int=1), "sk-123")]
    assert "sk-123" not in json.dumps(inside.document)

    alone = hide(model(), None, vault.seal).document
    moved = hide(grouped(show(alone)), alone, vault.seal)
    assert (moved.sealed, moved.destroyed) == ([], [])
    assert refs(moved.document) == refs(alone)


@pytest.mark.parametrize(
    "key", [{}, {"load_from_db": True}, {"password": False}, {"password": "yes"}]
)
def test_nobody_names_a_secret_by_its_reference(key: dict[str, Any]) -> None:
    forged = model(value={"$secret": str(UUID(int=1))}, **key)

    for document in (forged, grouped(forged)):
        with pytest.raises(InvalidDocumentError, match="names a secret"):
            hide(document, model(), Vault().seal)


def test_groups_without_end_are_refused_and_do_not_overflow() -> None:
    document: dict[str, Any] = model()
    for _ in range(3000):
        document = grouped(document)

    with pytest.raises(InvalidDocumentError, match="groups"):
        hide(document, None, Vault().seal)


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"nodes": [{"id": "a"}], "edges": []},
        {"nodes": [{"id": "a", "data": 5}], "edges": []},
        {"nodes": [{"id": "a", "data": {"node": {"template": []}}}], "edges": []},
        {"nodes": [{"id": "a", "data": {"node": {"flow": {"data": 1}}}}], "edges": []},
    ],
)
def test_a_document_without_fields_is_left_alone(document: Any) -> None:
    assert hide(document, None, Vault().seal) == (document, [], [])
    assert show(document) == document


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Model-1": {"api_key": "sk-9", "prompt": "x"}},
        {"Model": {"api_key": {"value": "sk-9", "load_from_db": False}}},
        {"api_key": "sk-9"},
    ],
)
def test_a_tweaked_password_is_a_secret_too(tweaks: dict[str, Any]) -> None:
    vault = Vault()
    hidden = hide_tweaks(tweaks, model(), vault.seal)

    assert "sk-9" not in json.dumps(hidden.document)
    assert hidden.sealed == [(UUID(int=1), "sk-9")]
    assert reveal_tweaks(hidden.document, vault.secrets) == tweaks


def test_a_placeholder_among_tweaks_changes_nothing() -> None:
    tweaks = {"Model-1": {"api_key": PLACEHOLDER, "prompt": PLACEHOLDER}}

    assert hide_tweaks(tweaks, model(), Vault().seal).document == {
        "Model-1": {"prompt": PLACEHOLDER}
    }


@pytest.mark.parametrize(
    "tweaks",
    [
        {"Model-1": {"prompt": {"$secret": str(UUID(int=1))}}},
        {"Model-1": {"prompt": {"value": {"$secret": str(UUID(int=1))}}}},
        {"prompt": {"$secret": str(UUID(int=1))}},
        {"Model-1": {"$secret": {"$secret": str(UUID(int=1))}}},
    ],
)
def test_no_tweak_names_a_secret_by_its_reference(tweaks: dict[str, Any]) -> None:
    with pytest.raises(UnwelcomeTweakError):
        hide_tweaks(tweaks, model(), Vault().seal)
