"""Code is nowhere executed: no component holds any, and no answer becomes some."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import Person
from tests.attacks.doors import tells_nothing
from tests.attacks.flows import COMPONENTS, asking, built, echo, field, saved
from tests.fake_openai import FakeModels

MARK = Path("executed-by-code")
TOUCH = f"open({str(MARK)!r}, 'w').close()"
MIDDLE = "Prompt Template-b"
CODE_NODES = (
    *("PythonREPLComponent", "PythonREPLTool", "PythonFunction", "CustomComponent"),
    *("PythonCodeStructuredTool", "LambdaFilter", "Smart Function", "ShellTool"),
)
TRIED = CODE_NODES[:4]
ESCAPES = {
    "plain": TOUCH,
    "frames": f"(lambda: 0).__globals__['__builtins__']['exec']({TOUCH!r})",
    "subclasses": "[c for c in ().__class__.__base__.__subclasses__() if"
    f" c.__name__ == '_wrap_close'][0].__init__.__globals__['system']('touch {MARK}')",
    "format": "try:\n    '{0.__class__.__mro__[1]}'.format(1)\n    1/0\n"
    f"except ZeroDivisionError as e:\n    e.__traceback__.tb_frame and {TOUCH}",
    "ctypes": f"import ctypes\nctypes.CDLL(None).system(b'touch {MARK}')",
    "import hook": "import sys\nclass H:\n    def find_spec(self, *a):\n"
    f"        {TOUCH}\nsys.meta_path.insert(0, H())\nimport nothing_of_that_name",
    "environment": f"open({str(MARK)!r}, 'w').write(open('/proc/self/environ').read())",
    "forks": f"import os\n{TOUCH}\nwhile True:\n    os.fork()",
    "for ever": f"{TOUCH}\nwhile True:\n    pass",
    "memory": f"{TOUCH}\nx = bytearray(10 * 2 ** 30)",
}


@pytest.fixture(autouse=True)
def _nothing_was_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not MARK.exists()
    monkeypatch.undo()


def holding(type_name: str, code: str) -> dict[str, Any]:
    """Return a flow in whose middle such a component holds *code*."""
    data = echo()
    [node] = [one["data"] for one in data["nodes"] if one["id"] == MIDDLE]
    node["type"] = type_name
    for name in ("code", "python_code", "tool_code", "function_code", "lambda"):
        node["node"]["template"][name] = {
            "type": "code",
            "value": code,
            "show": True,
            "advanced": False,
        }
    return data


def not_built(told: list[tuple[str, Any]]) -> None:
    """Check that a run came to its end, and the middle of its flow to nothing."""
    assert told[-1][0] == "end"
    ended = [said["build_data"] for event, said in told if event == "end_vertex"]
    assert not [one for one in ended if one["id"] == MIDDLE and one["valid"]]
    tells_nothing(json.dumps(told).replace('"traceback"', ""))


def test_a8_no_component_holds_code_of_its_own() -> None:
    every = [
        (name, component)
        for components in COMPONENTS.catalogue().values()
        for name, component in components.items()
    ]

    assert len(every) > 5
    for name, component in every:
        assert name not in CODE_NODES
        held = component["template"]["code"]["value"]
        assert held == f"# builtin: {name}"
        others = set(component["template"]) - {"code", "_type"}
        kinds = {component["template"][one]["type"] for one in others}
        assert "code" not in kinds, name


@pytest.mark.parametrize("type_name", TRIED)
async def test_a8_a_code_node_stays_off_by_every_door(
    mallory: Person, type_name: str
) -> None:
    """Import, save, draw unsaved, change, look over and run: nothing is executed."""
    data = holding(type_name, TOUCH)
    file = {"file": ("f.json", json.dumps({"name": "n", "data": data}))}

    [imported] = (await mallory.post("/api/v1/flows/upload/", files=file)).json()
    stored = await saved(mallory, data)
    plain = await saved(mallory, echo())
    shown = await mallory.get(f"/api/v1/flows/{imported['id']}")
    asked = [
        await mallory.post(f"/api/v1/run/{stored}", json={"input_value": "x"}),
        await mallory.post(f"/api/v1/run/{stored}?stream=true", json={}),
        await mallory.post(f"/api/v1/webhook/{stored}", json={"x": 1}),
    ]

    assert shown.status_code == 200
    not_built(await built(mallory, imported["id"]))
    not_built(await built(mallory, plain, data=data))
    not_built(await built(mallory, stored, stop_component_id=MIDDLE))
    for answer in asked:
        tells_nothing(answer.text)


async def test_a8_what_escapes_from_sandboxes_is_never_in_one(mallory: Person) -> None:
    data = holding("CustomComponent", "")
    [node] = [one["data"]["node"] for one in data["nodes"] if one["id"] == MIDDLE]
    for escape, code in ESCAPES.items():
        compile(code, escape, "exec")  # a payload that is none would prove nothing
        held = {"value": code, "type": "code", "show": True}
        node["template"][escape] = node["template"]["code"] = held
        change = {"code": code, "template": {"code": held}, "field": "x"}
        looked = await mallory.post("/api/v1/validate/code", json={"code": code})
        asked = await mallory.post("/api/v1/custom_component", json={"code": code})
        updated = await mallory.post("/api/v1/custom_component/update", json=change)

        statuses = [one.status_code for one in (looked, asked, updated)]
        assert statuses == [200, 400, 400], escape

    not_built(await built(mallory, await saved(mallory, data)))


ANSWERS = {
    "code": f"```python\n{TOUCH}\n```",
    "a component": json.dumps(
        {"data": {"type": "ChatInput", "node": {"template": {"code": TOUCH}}}}
    ),
    "a template": "{" + TOUCH + "} {message.__class__} {{7*7}}",
    "a serialised object": json.dumps(
        {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"a": "x"}}
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a7_what_a_model_answers_stays_words(
    mallory: Person,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """By every door, the answer comes out as it went in, and nothing else happens."""
    words = ANSWERS[kind]
    monkeypatch.setattr(models, "answer", words)
    data = asking(provider="OpenAI", model_name="m")
    key = field(data, "LanguageModelComponent-b", "api_key")
    key |= {"value": "sk-mallorys", "load_from_db": False}
    flow = await saved(mallory, data)
    before = (await mallory.get("/api/v1/all")).content

    told = await built(mallory, flow, inputs={"input_value": "write code"})
    run = await mallory.post(f"/api/v1/run/{flow}", json={"input_value": "x"})
    chat = await mallory.post(
        "/v1/chat/completions",
        json={"model": flow, "messages": [{"role": "user", "content": "x"}]},
    )

    said = [one["text"] for event, one in told if event == "add_message"]
    assert said[-1] == words
    assert words in every_text(run)
    assert chat.json()["choices"][0]["message"]["content"] == words
    assert (await mallory.get("/api/v1/all")).content == before


async def test_a7_an_answer_is_looked_over_and_not_tried(mallory: Person) -> None:
    for words in ANSWERS.values():
        node = {"template": {"code": {"value": words, "type": "code"}}}
        answers = [
            await mallory.post("/api/v1/validate/code", json={"code": words}),
            await mallory.post("/api/v1/custom_component", json={"code": words}),
            await mallory.post(
                "/api/v1/custom_component/update",
                json={"code": words, "template": node["template"], "field": "x"},
            ),
        ]

        assert [one.status_code for one in answers] == [200, 400, 400]


def every_text(answer: httpx.Response) -> list[str]:
    """Return every text in an answer, however deep."""

    def texts(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        inner = value.values() if isinstance(value, dict) else value
        within = inner if isinstance(value, dict | list) else []
        return [text for one in within for text in texts(one)]

    return texts(answer.json())
