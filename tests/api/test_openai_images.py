"""Images within messages: kept as files of the flow, and shown to its model."""

import asyncio
from base64 import b64encode
from typing import Any
from uuid import uuid4

import httpx
import openai
import pytest

from api.composition import Application
from api.openai import images
from domain.file import pictures
from infrastructure.components.drawing import Drawing
from tests.api.asking import client_of, drawn_by, talkative
from tests.api.conftest import Person
from tests.fake_openai import FakeModels

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
KINDS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0 and so on",
    "image/gif": b"GIF89a and so on",
    "image/webp": b"RIFF\x10\x00\x00\x00WEBPVP8 ",
}


def url_of(data: bytes = PNG, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


def showing(*urls: str, text: str = "what is this?") -> list[Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [{"type": "text", "text": text}, *parts]}]


async def files_of(person: Person, flow: str) -> list[str]:
    listed = (await person.get(f"/api/v1/files/list/{flow}")).json()
    return [str(name) for name in listed["files"]]


def shown_to(models: FakeModels) -> list[str]:
    """Return the images that the model saw last."""
    content = models.calls[-1].body["messages"][-1]["content"]
    return [one["image_url"]["url"] for one in content if one["type"] == "image_url"]


@pytest.mark.parametrize("door", ["/v1", "/api/v1"])
async def test_an_image_is_shown_to_the_model_and_kept_with_the_flow(
    ada: Person, application: Application, models: FakeModels, door: str
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    urls = [url_of(data, kind) for kind, data in KINDS.items()]
    said: list[Any] = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what are these?"},
                *({"type": "input_image", "image_url": url} for url in urls),
            ],
        }
    ]
    async with client_of(ada, under=door) as client:
        made = await client.responses.create(model=flow, input=said)
        items = await client.responses.input_items.list(made.id)
    shown = shown_to(models)
    if door == "/v1":
        async with client_of(ada) as client:
            asked = showing(*urls, text="what are these?")
            await client.chat.completions.create(model=flow, messages=asked)
        assert shown_to(models) == urls
    kept = await files_of(ada, flow)
    messages = (await ada.get(f"/api/v1/monitor/messages?flow_id={flow}")).json()

    assert shown == urls
    assert len(kept) == 4 * (2 if door == "/v1" else 1)
    assert kept[0].endswith((".png", ".jpg", ".gif", ".webp"))
    assert "picture-1" in messages[0]["files"]
    content: list[Any] = items.data[0].to_dict()["content"]  # type: ignore[assignment]
    assert [one["type"] for one in content] == ["input_text"] + ["input_image"] * 4
    path = content[1]["file_id"].partition("/")[2]
    read = await ada.get(f"/api/v1/files/images/{flow}/{path}")
    assert read.content == PNG


async def test_an_image_of_an_earlier_message_is_told_of_and_not_kept(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    asked = [
        *showing("https://example.org/never-fetched.png", text="look"),
        {"role": "assistant", "content": "A cat"},
        {"role": "user", "content": "what colour?"},
    ]
    async with client_of(ada) as client:
        await client.chat.completions.create(model=flow, messages=asked)

    assert "User: look\n(an image)\nAI: A cat" in models.calls[0].messages[0]["content"]
    assert await files_of(ada, flow) == []


async def test_what_is_no_image_is_refused_before_anything_is_kept(
    ada: Person,
    application: Application,
    models: FakeModels,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    monkeypatch.setattr(images, "LARGEST", 1_000)
    wrong = {
        "fetched": ["https://example.org/a.png"],
        "loopback": ["http://127.0.0.1:9/a.png"],
        "file": ["file:///etc/passwd"],
        "svg": [url_of(b"<svg/>", "image/svg+xml")],
        "html": [url_of(b"<html>", "text/html")],
        "not what it says": [url_of(PNG, "image/jpeg")],
        "not Base64": ["data:image/png;base64,!!!!"],
        "not encoded": ["data:image/png,abc"],
        "empty": ["data:image/png;base64,"],
        "large": [url_of(PNG + bytes(1_000))],
        "many": [url_of()] * (images.MOST + 1),
        "one of two": [url_of(), "https://example.org/a.png"],
    }
    async with client_of(ada) as client:
        for urls in wrong.values():
            with pytest.raises(openai.BadRequestError) as refused:
                await client.chat.completions.create(
                    model=flow, messages=showing(*urls)
                )
            assert refused.value.param == "messages[0].content"
            assert refused.value.code == "invalid_image"
        sound: Any = {"type": "input_audio", "input_audio": {"data": "", "format": ""}}
        with pytest.raises(openai.BadRequestError):
            await client.chat.completions.create(
                model=flow, messages=[{"role": "user", "content": [sound]}]
            )

    assert await files_of(ada, flow) == []
    assert models.calls == []
    assert pictures.LARGEST == 20 * 1024 * 1024


async def test_a_request_that_comes_twice_keeps_its_image_once(
    ada: Person, application: Application, models: FakeModels
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    key = {"Idempotency-Key": uuid4().hex}
    body = {"model": flow, "messages": showing(url_of())}
    answers = [
        await ada.post("/v1/chat/completions", json=body, headers=key) for _ in "12"
    ]
    other = {"model": flow, "messages": showing(url_of(PNG + b"!"))}
    changed = await ada.post("/v1/chat/completions", json=other, headers=key)

    assert answers[0].json() == answers[1].json()
    assert changed.status_code == 422
    assert len(await files_of(ada, flow)) == 1
    assert len(models.calls) == 1


async def test_a_flow_that_hears_no_chat_takes_no_image(
    ada: Person, application: Application
) -> None:
    drawing = Drawing(application.world.components)
    drawing.place("TextInput-t", "TextInput", (0, 0))
    flow, _ = await drawn_by(ada, drawing.document())
    async with client_of(ada) as client:
        with pytest.raises(openai.BadRequestError, match="no chat input"):
            await client.chat.completions.create(model=flow, messages=showing(url_of()))

    assert await files_of(ada, flow) == []


async def test_attack_a16_a_strangers_image_is_nobody_elses(
    ada: Person, bob: Person, anybody: httpx.AsyncClient, application: Application
) -> None:
    flow, _ = await drawn_by(ada, talkative(application))
    async with client_of(ada) as client:
        await client.chat.completions.create(model=flow, messages=showing(url_of()))
    async with client_of(bob) as client:
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model=flow, messages=showing(url_of()))
    [name] = await files_of(ada, flow)
    read = await asyncio.gather(
        bob.get(f"/api/v1/files/images/{flow}/{name}"),
        bob.get(f"/api/v1/files/download/{flow}/{name}"),
        anybody.get(f"/api/v1/files/download/{flow}/{name}"),
    )

    assert [one.status_code for one in read][:2] == [404, 404]
    assert read[2].status_code in (401, 403)
