"""What the editor asks about components; nothing that it sends is executed."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Person

WRITES = 'Path({path!r}).write_text("executed")'
BOMBS = {
    "statement": "{writes}",
    "decorator": "@print({writes})\ndef f(): ...",
    "class decorator": "@print({writes})\nclass C: ...",
    "default": "def f(x={writes}): ...",
    "keyword default": "def f(*, x={writes}): ...",
    "annotation": "def f(x: {writes}) -> {writes}: ...",
    "variable annotation": "x: {writes} = 1",
    "class body": "class C:\n    {writes}",
    "base": "class C({writes} and object): ...",
    "metaclass": "class C(metaclass={writes} or type): ...",
    "comprehension": "[{writes} for _ in (1,)]",
    "formatted": 'f"{{{writes}}}"',
    "lambda": "(lambda: {writes})()",
    "exec": "exec(compile({writes!r}, '', 'exec'))",
    "import": "__import__('pathlib').{writes}",
    "type bound": "type X[T: {writes}] = T\nX.__type_params__[0].__bound__",
    "component": "from langbuilder import Component\n\n\nclass Bomb(Component):\n"
    "    display_name = {writes}\n    inputs = [{writes}]\n    outputs = []",
}


def bomb(kind: str, witness: Path) -> str:
    writes = WRITES.format(path=str(witness))
    return "from pathlib import Path\n\n" + BOMBS[kind].format(writes=writes)


async def test_a_changed_field_changes_the_component(ada: Person) -> None:
    model = (await ada.get("/api/v1/all")).json()["models"]["LanguageModelComponent"]

    answer = await ada.post(
        "/api/v1/custom_component/update",
        json={
            "code": model["template"]["code"]["value"],
            "template": model["template"],
            "field": "provider",
            "field_value": "Anthropic",
            "tool_mode": False,
        },
    )

    assert answer.status_code == 200, answer.text
    template = answer.json()["template"]
    assert template["api_key"]["display_name"] == "Anthropic API Key"
    assert any("claude" in name for name in template["model_name"]["options"])


async def test_a_builtin_is_known_by_its_stub(ada: Person) -> None:
    chat = (await ada.get("/api/v1/all")).json()["input_output"]["ChatInput"]

    answer = await ada.post(
        "/api/v1/custom_component", json={"code": chat["template"]["code"]["value"]}
    )

    assert answer.json() == {"data": chat, "type": "ChatInput"}


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("custom_component", {}),
        ("custom_component/update", {"template": {}, "field": "x", "field_value": 1}),
        ("validate/code", {}),
    ],
)
@pytest.mark.parametrize("kind", BOMBS)
async def test_a1_source_is_never_executed(
    ada: Person, tmp_path: Path, path: str, more: dict[str, Any], kind: str
) -> None:
    witness = tmp_path / "witness"
    code = bomb(kind, witness)
    compile(code, kind, "exec")  # a payload that is none would prove nothing

    answer = await ada.post(f"/api/v1/{path}", json={"code": code} | more)

    assert answer.status_code == (200 if path == "validate/code" else 400)
    assert not witness.exists()
    if answer.status_code == 400:
        detail = answer.json()["detail"]
        if path == "custom_component":
            assert detail == {"error": detail["error"], "traceback": ""}
        else:
            assert isinstance(detail, str)
        assert "never executed" in answer.text


async def test_the_payloads_would_do_harm(tmp_path: Path) -> None:
    for kind in BOMBS:
        if kind == "component":  # which needs a base that we do not have
            continue
        witness = tmp_path / kind
        with suppress(TypeError, AttributeError):  # after the harm was done
            exec(bomb(kind, witness), {"__name__": "bomb"})
        assert witness.exists(), kind


@pytest.mark.parametrize(
    ("code", "imports", "function"),
    [
        ("", [], []),
        ("import math\n\ndef square(x):\n    return x ** 2\n", [], []),
        (
            "import math\nimport non_existent_module\nfrom other_missing.part import x",
            [
                "No module named 'non_existent_module'",
                "No module named 'other_missing'",
            ],
            [],
        ),
        ("from . import sibling\nfrom .deep import part", [], []),
        ("\n\n\ndef square(x)\n", [], ["expected ':' (<unknown>, line 4)"]),
        ("a\x00b", [], ["source code string cannot contain null bytes"]),
    ],
)
async def test_code_is_looked_over(
    ada: Person, code: str, imports: list[str], function: list[str]
) -> None:
    answer = await ada.post("/api/v1/validate/code", json={"code": code})

    assert answer.status_code == 200
    assert answer.json()["imports"] == {"errors": imports}
    said = answer.json()["function"]["errors"]
    assert len(said) == len(function)
    assert all(part in whole for part, whole in zip(function, said, strict=True))


async def test_code_that_is_nested_too_deeply_is_told(ada: Person) -> None:
    answer = await ada.post(
        "/api/v1/validate/code", json={"code": "x" * 5 + "(" * 10_000}
    )

    assert answer.status_code == 200
    assert answer.json()["function"]["errors"]


async def test_code_without_code_is_refused(ada: Person) -> None:
    answer = await ada.post("/api/v1/validate/code", json={"source": "x"})

    assert answer.status_code == 422


@pytest.mark.parametrize(
    "template",
    ["{0.__class__}", "{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{1}", "{", "x}"],
)
async def test_a6_a_template_holds_names_and_nothing_else(
    ada: Person, template: str
) -> None:
    prompt = (await ada.get("/api/v1/all")).json()["processing"]["Prompt Template"]

    answer = await ada.post(
        "/api/v1/validate/prompt",
        json={"name": "template", "template": template, "frontend_node": prompt},
    )

    assert answer.status_code == 500
    assert isinstance(answer.json()["detail"], str)


async def test_variables_come_and_go_with_the_template(ada: Person) -> None:
    prompt = (await ada.get("/api/v1/all")).json()["processing"]["Prompt Template"]

    async def typed(template: str, node: dict[str, Any]) -> dict[str, Any]:
        answer = await ada.post(
            "/api/v1/validate/prompt",
            json={
                "name": "template",
                "template": template,
                "custom_fields": node["custom_fields"],
                "frontend_node": node,
            },
        )
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()["frontend_node"]
        return changed

    node = await typed("Hi {name}, {{not}} {day}", prompt)
    node["template"]["name"]["value"] = "Ada"
    other = await typed("Dear {name} of {town}", node)

    assert node["custom_fields"] == {"template": ["name", "day"]}
    assert "not" not in node["template"]
    assert other["custom_fields"] == {"template": ["name", "town"]}
    assert "day" not in other["template"]
    assert other["template"]["name"]["value"] == "Ada"
    field = other["template"]["town"]
    assert (field["type"], field["input_types"]) == ("str", ["Message"])
    assert field["field_type"] == "str"
    assert "_input_type" not in field


async def test_a_prompts_variables_become_fields(ada: Person) -> None:
    prompt = (await ada.get("/api/v1/all")).json()["processing"]["Prompt Template"]

    bare = await ada.post(
        "/api/v1/validate/prompt", json={"name": "template", "template": "Hi {a}"}
    )
    full = await ada.post(
        "/api/v1/validate/prompt",
        json={"name": "template", "template": "Hi {a}", "frontend_node": prompt},
    )

    assert bare.json() == {"input_variables": [], "frontend_node": None}
    assert full.json()["input_variables"] == ["a"]
    assert full.json()["frontend_node"]["template"]["a"]["input_types"] == ["Message"]
