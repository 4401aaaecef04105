"""What the editor asks about components; nothing that it sends is executed."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import Person

BOMB = """
from pathlib import Path

@print(Path({path!r}).write_text("executed"))
class Bomb(Path({path!r}).write_text("executed") and object):
    def f(self, x=Path({path!r}).write_text("executed")): ...
"""


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
async def test_source_is_never_executed(
    ada: Person, tmp_path: Path, path: str, more: dict[str, Any]
) -> None:
    witness = tmp_path / "witness"
    code = BOMB.format(path=str(witness))

    answer = await ada.post(f"/api/v1/{path}", json={"code": code} | more)

    assert answer.status_code == (200 if path == "validate/code" else 400)
    assert not witness.exists()
    if answer.status_code == 400:
        assert answer.json()["detail"].keys() == {"error", "traceback"}


@pytest.mark.parametrize(
    ("code", "fine"),
    [
        ("", True),
        ("x = 1", True),
        ("def f(:", False),
        ("x" * 5 + "(" * 10_000, False),
        ("a\x00b", False),
    ],
)
async def test_code_is_looked_over(ada: Person, code: str, *, fine: bool) -> None:
    answer = await ada.post("/api/v1/validate/code", json={"code": code})

    assert answer.status_code == 200
    assert answer.json()["imports"] == {"errors": []}
    assert (answer.json()["function"]["errors"] == []) is fine


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
