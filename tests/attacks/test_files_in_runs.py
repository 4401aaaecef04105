"""Files reach runs, and only those of the run's owner do."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from infrastructure.components.drawing import Drawing
from tests.api.conftest import Person
from tests.api.test_files import uploaded
from tests.attacks.flows import COMPONENTS, asking, built, field, saved
from tests.fake_openai import FakeModels

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
QANDA = Path(__file__).parents[2] / ".." / "shared" / "flows" / "document-qanda.json"


def reading() -> dict[str, Any]:
    """What a file holds is the answer."""
    drawing = Drawing(COMPONENTS)
    file = drawing.place("File-a", "File", (0, 0))
    answer = drawing.place("ChatOutput-b", "ChatOutput", (1, 0))
    drawing.connect(file, "message", answer, "input_value")
    return dict(drawing.document())


def seeing() -> dict[str, Any]:
    """What is said, with what goes with it, is shown to a model."""
    data = asking(provider="OpenAI", model_name="gpt-4o-mini")
    key = field(data, "LanguageModelComponent-b", "api_key")
    key |= {"value": "sk-of-ada", "load_from_db": False}
    return data


async def said_to(models: FakeModels) -> Any:
    return models.calls[-1].body["messages"]


async def test_an_image_of_the_chat_is_shown_to_the_model(
    ada: Person, models: FakeModels
) -> None:
    flow = await saved(ada, seeing())
    path = await uploaded(ada, flow, "p.png", PNG)

    told = await built(ada, flow, inputs={"input_value": "What is this?"}, files=[path])

    assert told[-1][0] == "end"
    assert "error" not in dict(told), dict(told)["error"]["text"]
    [*_, human] = await said_to(models)
    assert human["content"] == [
        {"type": "text", "text": "What is this?"},
        {
            "type": "image_url",
            "image_url": {"url": f"data:image/png;base64,{b64encode(PNG).decode()}"},
        },
    ]
    messages = (await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")).json()
    assert json.loads(messages[0]["files"]) == [path]


async def test_a_run_reads_a_file_named_by_a_tweak(ada: Person) -> None:
    flow = await saved(ada, reading())
    own = await ada.post("/api/v2/files", files={"file": ("n.txt", b"from a file")})

    for path in (own.json()["path"], await uploaded(ada, flow, "n.txt", b"from a f")):
        for tweak in ({"path": [path]}, {"path": {"file_path": path}}):
            answer = await ada.post(
                f"/api/v1/run/{flow}", json={"tweaks": {"File-a": tweak}}
            )
            assert answer.status_code == 200, answer.text
            [output] = answer.json()["outputs"][0]["outputs"]
            assert output["results"]["message"]["text"].startswith("from a f")


async def test_the_document_question_flow_answers(
    ada: Person, models: FakeModels
) -> None:
    if not QANDA.exists():
        pytest.skip("the flows of LangBuilder are not beside this repository")
    flow = await saved(ada, json.loads(QANDA.read_text())["data"])
    path = await uploaded(ada, flow, "facts.txt", b"The moon is made of rock.")
    model = {"api_key": "sk-of-ada", "provider": "OpenAI"}
    tweaks = {"File-b2gOG": {"path": [path]}, "LanguageModelComponent-htMuI": model}

    answer = await ada.post(
        f"/api/v1/run/{flow}",
        json={"input_value": "What is the moon made of?", "tweaks": tweaks},
    )

    assert answer.status_code == 200, answer.text
    system, human = await said_to(models)
    assert "The moon is made of rock." in system["content"]
    assert human["content"] == "What is the moon made of?"


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "file:///etc/passwd", "../secret_key", "{flow}/../secret_key"),
        *("{flow}//etc/passwd", "{flow}/", "", "{flow}/none.txt"),
    ],
)
async def test_a33_a_run_reads_nothing_of_the_server(ada: Person, path: str) -> None:
    flow = await saved(ada, reading())
    path = path.format(flow=flow)

    told = await built(ada, flow, files=[path], data=_with_path(path))
    answer = await ada.post(
        f"/api/v1/run/{flow}", json={"tweaks": {"File-a": {"path": [path]}}}
    )

    assert answer.status_code == 500
    for text in (json.dumps(told), answer.text):
        assert "root:" not in text
        assert "Traceback" not in text
    assert dict(told)["error"]


def _with_path(path: str) -> dict[str, Any]:
    data = reading()
    field(data, "File-a", "path")["file_path"] = [path]
    return data


async def test_a16_a_run_reads_no_files_of_others(
    ada: Person, bob: Person, models: FakeModels
) -> None:
    secret = f"canary-{uuid4().hex}".encode()
    hers = await uploaded(ada, await saved(ada, reading()), "s.txt", secret)
    own = await ada.post("/api/v2/files", files={"file": ("o.txt", secret)})
    flow, chat = await saved(bob, reading()), await saved(bob, seeing())
    calls = len(models.calls)

    for path in (hers, own.json()["path"]):
        answers = [
            json.dumps(await built(bob, flow, data=_with_path(path))),
            json.dumps(
                await built(bob, chat, inputs={"input_value": "x"}, files=[path])
            ),
            (
                await bob.post(
                    f"/api/v1/run/{flow}", json={"tweaks": {"File-a": {"path": path}}}
                )
            ).text,
            (
                await bob.post(
                    f"/api/v1/run/{chat}",
                    json={
                        "input_value": "x",
                        "tweaks": {"ChatInput-a": {"files": [path]}},
                    },
                )
            ).text,
        ]
        none = f"{uuid4()}/none.txt"
        unknown = await bob.post(
            f"/api/v1/run/{flow}", json={"tweaks": {"File-a": {"path": none}}}
        )
        for answer in answers:
            assert secret.decode() not in answer
            assert "no such file" in answer
        assert answers[2].replace(path, "") == unknown.text.replace(none, "")
    assert len(models.calls) == calls


async def test_a_file_of_the_flow_reaches_who_runs_it_later(ada: Person) -> None:
    flow = await saved(ada, reading())
    path = await uploaded(ada, flow, "n.txt", b"kept")
    data = _with_path(path)
    assert (
        await ada.patch(f"/api/v1/flows/{flow}", json={"data": data})
    ).status_code == 200

    answer = await ada.post(f"/api/v1/run/{flow}", json={})
    gone = await ada.delete(f"/api/v1/files/delete/{path}")
    after = await ada.post(f"/api/v1/run/{flow}", json={})

    assert answer.json()["outputs"][0]["outputs"][0]["results"]["message"]["text"] == (
        "kept"
    )
    assert gone.status_code == 200
    assert after.status_code == 500
    assert "no such file" in after.text
