"""Nothing that comes with a flow is executed, reaches inside, or calls in secret."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from domain.kernel import Json
from tests.api.conftest import Person
from tests.attacks.conftest import MODEL_KEY
from tests.attacks.doors import tells_nothing
from tests.attacks.flows import asking, built, echo, field, saved
from tests.fake_openai import FakeModels

MARK = Path("executed-by-an-attack")
TOUCH = f"open({str(MARK)!r}, 'w').close()"
PAYLOADS = [
    f"{TOUCH}",
    f"@exec({TOUCH!r})\ndef f(): pass",
    f"def f(x={TOUCH}): pass",
    f"class C:\n    {TOUCH}",
    f"def f(x: {TOUCH}): pass",
    f"class C(metaclass=lambda *a: {TOUCH}): pass",
    f"class ChatInput(Component):\n    name = 'ChatInput'\n    x = {TOUCH}",
    f"import os; os.system('touch {MARK}')",
    "# builtin: ChatInput\n" + TOUCH,
]
PROBES = [
    "{message.__class__.__mro__}",
    "{0.__init__.__globals__}",
    "{message!r:>{message}}",
    "{message[0]}",
    "{{config}}",
    ">{{7*7}}<{% for x in () %}{% endfor %}",
    ">${7*7}<#{7*7}<%= 7*7 %>",
    "{__import__('os').environ}",
]


@pytest.fixture(autouse=True)
def _nothing_was_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    yield
    assert not MARK.exists()
    monkeypatch.undo()


@pytest.mark.parametrize("code", PAYLOADS)
async def test_a1_code_is_looked_at_and_never_executed(
    mallory: Person, code: str
) -> None:
    frontend_node = {"template": {"code": {"value": code, "type": "code"}}}
    for path, body in (
        ("validate/code", {"code": code}),
        ("custom_component", {"code": code, "frontend_node": frontend_node}),
        (
            "custom_component/update",
            {
                "code": code,
                "template": frontend_node["template"],
                "field": "code",
                "field_value": code,
                "frontend_node": frontend_node,
            },
        ),
        (
            "validate/prompt",
            {"name": "t", "template": code, "frontend_node": frontend_node},
        ),
    ):
        answer = await mallory.post(f"/api/v1/{path}", json=body)
        assert answer.status_code in {200, 400, 500}
        if answer.status_code == 500:
            assert path == "validate/prompt"  # LangBuilder's status for a bad template


@pytest.mark.parametrize("code", PAYLOADS[:3])
async def test_a2_code_in_a_flow_in_a_request_or_in_a_tweak_is_not_executed(
    mallory: Person, code: str
) -> None:
    data = echo()
    for node in data["nodes"]:
        template = node["data"]["node"]["template"]
        template["code"] = {"type": "code", "value": code, "show": True}
        template["tool_code"] = {"type": "code", "value": code, "show": True}
    flow = await saved(mallory, data)
    tweaks = {"ChatInput-a": {"code": code, "tool_code": code}, "code": code}

    told = await built(mallory, flow)
    unsaved = await built(mallory, flow, data=data)
    asked = await mallory.post(f"/api/v1/run/{flow}", json={"tweaks": tweaks})

    assert told[-1][0] == unsaved[-1][0] == "end"
    assert asked.status_code in {200, 400, 422}


@pytest.mark.parametrize(
    "type_name",
    [
        *("MCPTools", "MCPStdio", "PythonREPLTool", "CustomComponent", "Agent"),
        *("__import__", "os.system", "../../chat", "builtins.eval", "", "LLMChain"),
    ],
)
async def test_a4_an_unknown_component_starts_nothing_and_says_so(
    mallory: Person, type_name: str
) -> None:
    data = echo()
    node = data["nodes"][1]["data"]
    node["type"] = type_name
    template = node["node"]["template"]
    template["command"] = {"type": "str", "value": f"touch {MARK}"}
    template["mcp_server"] = {
        "type": "mcp",
        "value": {"config": {"command": "touch", "args": [str(MARK)]}},
    }
    template["code"] = {"type": "code", "value": PAYLOADS[6]}

    uploaded = await mallory.post(
        "/api/v1/flows/upload/",
        files={"file": ("f.json", json.dumps({"name": "n", "data": data}))},
    )
    [flow] = uploaded.json()
    assert (await mallory.get(f"/api/v1/flows/{flow['id']}")).status_code == 200
    told = await built(mallory, flow["id"])

    assert told[-1][0] == "end"
    tells_nothing(json.dumps(told).replace('"traceback"', ""))


@pytest.mark.parametrize("probe", PROBES)
async def test_a6_a_template_reaches_into_nothing(mallory: Person, probe: str) -> None:
    flow = await saved(mallory, echo(template=probe), name=probe[:80])

    told = json.dumps(await built(mallory, flow, inputs={"input_value": probe}))

    for inside in ("<class '", "<module", ">49<", os.environ["PATH"]):
        assert inside not in told


async def test_a6_what_is_put_into_a_template_is_not_read_again(
    mallory: Person,
) -> None:
    flow = await saved(mallory, echo())

    told = await built(mallory, flow, inputs={"input_value": "{message}{{x}}{x}"})

    said = [data for name, data in told if name == "add_message"][-1]
    assert said["text"] == "<{message}{{x}}{x}>"


@pytest.mark.parametrize(
    "serialised",
    [
        {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}},
        {"lc": 1, "type": "secret", "id": ["PATH"]},
        {"__reduce__": ["os.system", ["touch x"]]},
        {"py/object": "os.system"},
        {"$tag": "user.superuser_granted"},
        {"__class__": "Message"},
        "!!python/object/apply:os.system ['true']",
        "gASVHAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu",
    ],
)
async def test_a9_serialised_objects_stay_plain_data(
    mallory: Person, serialised: Json
) -> None:
    data = echo()
    field(data, "ChatInput-a", "input_value")["value"] = serialised
    field(data, "ChatOutput-c", "data_template")["value"] = serialised
    data["nodes"][0]["data"]["node"]["extra"] = serialised
    flow = await saved(mallory, data)

    told = await built(mallory, flow)
    asked = await mallory.post(
        f"/api/v1/run/{flow}", json={"tweaks": {"ChatInput-a": {"files": serialised}}}
    )

    assert (await mallory.get(f"/api/v1/flows/{flow}")).json()["data"] == data
    assert told[-1][0] == "end"
    assert os.environ["PATH"] not in json.dumps(told) + asked.text


PRIVATE = [
    "http://127.0.0.1:{port}",
    "http://localhost:{port}",
    "http://localhost.:{port}",
    "http://[::1]:{port}",
    "http://[::ffff:127.0.0.1]:{port}",
    "http://0.0.0.0:{port}",
    "http://2130706433:{port}",
    "http://0x7f000001:{port}",
    "http://0177.0.0.1:{port}",
    "http://127.1:{port}",
    "http://127.0.0.1.:{port}",
    "http://example.com@127.0.0.1:{port}",
    "http://127.0.0.1:{port}#@example.com",
    "http://127.0.0.1:{port}\\@example.com",
    "http://①②⑦.0.0.1:{port}",  # digits that are read as others
    "http://169.254.169.254",
    "http://[::ffff:169.254.169.254]",
    "http://metadata.google.internal",
    "http://10.0.0.1",
    "http://192.168.0.1",
    "http://[fd00::1]",
    "http://[64:ff9b::7f00:1]:{port}",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "//127.0.0.1:{port}",
]


@pytest.mark.parametrize("url", PRIVATE, ids=ascii)
async def test_a39_an_address_set_in_a_flow_leads_into_no_private_network(
    mallory: Person, models: FakeModels, url: str
) -> None:
    private = url.format(port=models.port)
    data = asking(provider="Ollama", model_name="m", base_url=private)
    field(data, "LanguageModelComponent-b", "base_url")["show"] = True
    flow = await saved(mallory, data)
    before = len(models.calls)

    told = await built(mallory, flow, inputs={"input_value": "hello"})

    assert told[-1][0] == "end"
    assert "error" in json.dumps(told)
    assert len(models.calls) == before
    tells_nothing(json.dumps(told).replace('"traceback"', ""))


@pytest.mark.parametrize("name", ["base_url", "openai_api_base", "api_base", "url"])
async def test_a39_a_tweak_leads_nowhere_else_either(
    mallory: Person, models: FakeModels, name: str
) -> None:
    async with FakeModels() as elsewhere:
        data = asking(provider="OpenAI", model_name="m")
        key = field(data, "LanguageModelComponent-b", "api_key")
        key |= {"value": MODEL_KEY, "load_from_db": False}
        field(data, "LanguageModelComponent-b", "base_url")["show"] = True
        flow = await saved(mallory, data)
        tweak: dict[str, Json] = {name: elsewhere.openai_url}
        answers = [
            await mallory.post(
                f"/api/v1/run/{flow}", json={"input_value": "x", "tweaks": tweaks}
            )
            for tweaks in (
                {"LanguageModelComponent-b": tweak},
                {"LanguageModelComponent-b": tweak | {"provider": "Ollama"}},
                tweak,
            )
        ]

        assert elsewhere.calls == []
    assert {answer.status_code for answer in answers} <= {200, 400, 500}
    for answer in answers:
        tells_nothing(answer.text)


async def test_a22_the_servers_own_environment_is_not_for_flows(
    mallory: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = "canary-of-the-environment-44c1"
    names = (
        *("LANGBUILDER_SECRET_KEY", "LANGBUILDER_SUPERUSER_PASSWORD", "DATABASE_URL"),
        *("AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "REDIS_URL", "PATH", "HOME"),
        *("LANGBUILDER_DATABASE_URL", "MY_PASSWORD", "DJANGO_SECRET_KEY"),
    )
    for name in names:
        if name not in {"PATH", "HOME"}:
            monkeypatch.setenv(name, canary)
    told = ""
    for name in names:
        data = echo()
        prompt = field(data, "Prompt Template-b", "template")
        prompt |= {"value": name, "load_from_db": True}
        told += json.dumps(await built(mallory, await saved(mallory, data)))

    assert canary not in told
    assert os.environ["PATH"] not in told


async def test_a22_a_credential_is_not_said_aloud(mallory: Person) -> None:
    canary = "canary-of-a-credential-9be2"
    await mallory.post(
        "/api/v1/variables/",
        json={"name": "CRED", "value": canary, "type": "Credential"},
    )
    await mallory.post(
        "/api/v1/variables/",
        json={"name": "PLAIN", "value": "plainly", "type": "Generic"},
    )
    told = {}
    for name in ("CRED", "PLAIN"):
        data = echo()
        prompt = field(data, "Prompt Template-b", "template")
        # Marked as a secret by whoever drew the flow, to have it read aloud.
        prompt |= {"value": name, "load_from_db": True, "password": name == "CRED"}
        told[name] = json.dumps(await built(mallory, await saved(mallory, data)))

    assert canary not in told["CRED"]
    assert "plainly" in told["PLAIN"]


async def test_a22_anothers_variable_cannot_be_named(
    mallory: Person, ada: Person
) -> None:
    canary = "canary-of-ada-31ab"
    await ada.post(
        "/api/v1/variables/",
        json={"name": "ADAS", "value": canary, "type": "Generic"},
    )
    data = echo()
    prompt = field(data, "Prompt Template-b", "template")
    prompt |= {"value": "ADAS", "load_from_db": True}
    flow = await saved(mallory, data)

    told = await built(mallory, flow)
    forged = await mallory.post(
        f"/api/v1/run/{flow}",
        json={},
        headers={"X-LANGFLOW-GLOBAL-VAR-ADAS": "forged", "X-User-Id": ada.id},
    )

    assert canary not in json.dumps(told) + forged.text
    assert "forged" not in forged.text
