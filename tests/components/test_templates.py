"""Templates hold names, and nothing can be reached through them."""

import pytest

from infrastructure.components.templates import (
    InvalidTemplateError,
    checked_variables,
    filled,
    variables,
)


def test_variables_come_once_and_in_order() -> None:
    assert variables("{b} and {a} and {b}") == ["b", "a"]


def test_doubled_braces_are_plain() -> None:
    assert variables('{{"a": {a}}}') == ["a"]
    assert filled('{{"a": {a}}}', {"a": "1"}) == '{"a": 1}'
    assert filled("{{{a}}}", {"a": "1"}) == "{1}"


def test_what_is_put_in_is_not_read_again() -> None:
    assert filled("{a}", {"a": "{b} }} {"}) == "{b} }} {"


def test_what_is_missing_is_empty() -> None:
    assert filled("<{a}>", {}) == "<>"


@pytest.mark.parametrize(
    "attack",
    [
        "{0.__class__}",
        "{a.__class__.__mro__}",
        "{0.__init__.__globals__}",
        "{a[0]}",
        "{a!r}",
        "{a:>1000000000}",
        "{}",
        "{0}",
    ],
)
def test_nothing_but_names_stands_between_braces(attack: str) -> None:
    with pytest.raises(InvalidTemplateError):
        variables(attack)


@pytest.mark.parametrize("lone", ["a { b", "a } b", "{a", "a}", "{a{b}}", "{{a}"])
def test_a_lone_brace_is_refused(lone: str) -> None:
    with pytest.raises(InvalidTemplateError, match=r"brace"):
        variables(lone)


@pytest.mark.parametrize("name", ["a b", "1a", "a/b", "a,b", "code", "template"])
def test_a_prompts_variable_is_a_name_fit_for_a_field(name: str) -> None:
    with pytest.raises(InvalidTemplateError, match=name):
        checked_variables(f"{{{name}}}")


@pytest.mark.parametrize("name", ["a", "A_1", "größe", "my-name", "名前"])
def test_names_in_any_alphabet_are_fine(name: str) -> None:
    assert checked_variables(f"{{{name}}}") == [name]


def test_a_long_template_is_read_in_one_go() -> None:
    assert len(variables("{a}{{}}" * 50_000)) == 1
