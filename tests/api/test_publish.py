"""Publishing on OpenWebUI: what goes there, what is kept here, and what is refused."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from domain.catalogue import tag_of
from infrastructure.open_web_ui import platform
from tests.api.conftest import Join, Person
from tests.api.talking import starter
from tests.fake_open_web_ui import ADMIN, FakeOpenWebUi

PUBLISH = "/api/v1/publish"


@pytest.fixture
async def theirs() -> AsyncIterator[FakeOpenWebUi]:
    """An OpenWebUI that has nothing yet."""
    async with FakeOpenWebUi().serving() as fake:
        yield fake


def asked(flow: str, theirs: FakeOpenWebUi, **more: Any) -> dict[str, Any]:
    return {
        "flow_id": flow,
        "openwebui_url": theirs.url + "/",
        "openwebui_api_key": ADMIN,
    } | more


async def withdraw(person: Person, body: dict[str, Any], **more: Any) -> httpx.Response:
    return await person.request("DELETE", f"{PUBLISH}/openwebui", json=body, **more)


async def test_a_flow_becomes_a_model_there_and_is_listed_here(
    join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("publisher")
    flow = await starter(person, "Words in a Template")

    answer = await person.post(
        f"{PUBLISH}/openwebui", json=asked(flow, theirs, model_name="My model")
    )

    assert answer.status_code == 200, answer.text
    said = answer.json()
    name = said["model_id"]
    assert said == {
        "success": True,
        "model_id": f"langbuilder_{flow.replace('-', '')}",
        "model_name": "My model",
        "openwebui_url": theirs.url,
        "pipe_function_deployed": True,
        "message": "Flow published to OpenWebUI; enter LANGBUILDER_API_KEY in its "
        "valves",
    }
    assert "x-stale" not in answer.headers
    assert theirs.functions[name]["is_active"]
    [record] = (await person.get(f"{PUBLISH}/status/{flow}")).json()
    assert record["status"] == "ACTIVE"
    assert (record["external_id"], record["platform_url"]) == (name, theirs.url)
    assert (record["platform"], record["published_by"]) == ("openwebui", person.id)
    assert record["metadata"] == {"model_name": "My model"}
    [listed] = (await person.get(f"{PUBLISH}/flows")).json()
    assert (listed["id"], listed["name"]) == (flow, "Words in a Template")


async def test_what_is_published_answers_there_with_what_the_flow_says(
    address: str, join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("piped")
    flow = await starter(person, "Basic Prompting")
    key = (await person.post("/api/v1/api_key/", json={"name": "owui"})).json()
    body = asked(flow, theirs, langbuilder_api_key=key["api_key"])
    name = (await person.post(f"{PUBLISH}/openwebui", json=body)).json()["model_id"]
    pipe = theirs.pipe(name)
    messages = [{"role": "user", "content": "tell me something"}]
    chat = {"chat_id": f"owui-{uuid4()}"}

    whole = await pipe.pipe({"messages": messages}, __metadata__=chat)
    spoken = await pipe.pipe({"messages": messages, "stream": True})
    pieces = [piece async for piece in spoken]
    pipe.valves.LANGBUILDER_API_KEY = "wrong"
    refused = await pipe.pipe({"messages": messages})

    assert address == pipe.valves.LANGBUILDER_URL
    assert "tell me something" in whole
    assert len(pieces) > 1
    assert "tell me something" in "".join(pieces)
    assert refused.startswith("LangBuilder says 40")
    said = await person.get(f"/api/v1/monitor/messages?session_id={chat['chat_id']}")
    assert len(said.json()) == 2


async def test_a_name_cannot_become_code_there(
    join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("sly")
    flow = await starter(person, "Words in a Template")
    names = ['"""\nraise SystemExit\n"""', "'; raise SystemExit #", "$flow ${name} \\"]
    for name in (one.replace("\n", " ") for one in names):
        body = asked(flow, theirs, model_name=name)
        answer = await person.post(f"{PUBLISH}/openwebui", json=body)

        assert answer.status_code == 200, answer.text
        pipe = theirs.pipe(answer.json()["model_id"])
        assert pipe.name == name


async def test_published_anew_it_replaces_itself_and_withdrawn_it_is_gone(
    join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("again")
    flow = await starter(person, "Words in a Template")
    for name in ("one", "two"):
        body = asked(flow, theirs, model_name=name)
        published = await person.post(f"{PUBLISH}/openwebui", json=body)
        assert published.json()["success"]
    [function] = theirs.functions.values()
    assert (function["name"], function["is_active"]) == ("two", True)

    gone = await withdraw(person, asked(flow, theirs))
    twice = await withdraw(person, asked(flow, theirs))

    assert gone.json() == {
        "success": True,
        "message": "Flow unpublished from OpenWebUI",
        "flow_id": flow,
        "platform_url": theirs.url,
    }
    assert theirs.functions == {}
    assert twice.status_code == 404
    [record] = (await person.get(f"{PUBLISH}/status/{flow}")).json()
    assert record["status"] == "UNPUBLISHED"
    assert (await person.get(f"{PUBLISH}/flows")).json() == []


async def test_what_somebody_removed_there_can_still_be_withdrawn(
    join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("removed")
    flow = await starter(person, "Words in a Template")
    await person.post(f"{PUBLISH}/openwebui", json=asked(flow, theirs))
    theirs.functions.clear()

    assert (await withdraw(person, asked(flow, theirs))).status_code == 200


async def test_a_repeat_with_its_key_is_answered_and_asks_nobody(
    join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("repeating")
    flow = await starter(person, "Words in a Template")
    for method in ("POST", "DELETE"):
        key = {"Idempotency-Key": uuid4().hex}
        url, body = f"{PUBLISH}/openwebui", asked(flow, theirs)
        first = await person.request(method, url, json=body, headers=key)
        calls = len(theirs.asked)
        again = await person.request(method, url, json=body, headers=key)

        assert first.status_code == 200, first.text
        assert again.json() == first.json()
        assert len(theirs.asked) == calls


async def test_what_is_there_but_not_ready_is_on_record_as_such(
    join: Join, theirs: FakeOpenWebUi
) -> None:
    person = await join("unready")
    flow = await starter(person, "Words in a Template")
    theirs.fails = {"toggle"}

    answer = await person.post(f"{PUBLISH}/openwebui", json=asked(flow, theirs))

    assert answer.status_code == 200
    assert not answer.json()["success"]
    [record] = (await person.get(f"{PUBLISH}/status/{flow}")).json()
    assert record["status"] == "ERROR"
    assert record["error_message"].startswith("It is there, but not ready")


async def test_the_keys_are_kept_nowhere(
    application: Application, join: Join, theirs: FakeOpenWebUi, caplog: Any
) -> None:
    person = await join("discretion")
    flow = await starter(person, "Words in a Template")
    ours = (await person.post("/api/v1/api_key/", json={"name": "o"})).json()["api_key"]
    with caplog.at_level("DEBUG"):
        body = asked(flow, theirs, langbuilder_api_key=ours)
        await person.post(f"{PUBLISH}/openwebui", json=body)
        theirs.fails = {"functions"}
        refused = await person.post(f"{PUBLISH}/openwebui", json=body)
    told = await application.world.store.read_stream("core", UUID(flow))
    states = [str(one) for one in told]

    assert refused.status_code == 502
    assert "flow.published" in [tag_of(type(one.event)) for one in told]
    for secret in (ADMIN, ours):
        assert secret not in refused.text
        assert not [state for state in states if secret in state]
        said = [r for r in caplog.records if not r.name.startswith(("httpx", "httpc"))]
        assert not [one for one in said if secret in one.getMessage()]


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://127.0.0.1:{port}", 400),
        ("http://localhost:{port}", 400),
        ("http://[::ffff:127.0.0.2]:{port}", 400),
        ("http://169.254.169.254", 400),
        ("http://0.0.0.0:{port}", 400),
        ("http://2130706433:{port}", 400),
        ("http://10.1.2.3", 400),
        ("http://user:word@127.0.0.2:{port}", 422),
        ("http://127.0.0.2:{port}/?x=1", 422),
        ("http://127.0.0.2:{port}#x", 422),
        ("http://127.0.0.2:99999999", 422),
        ("file:///etc/passwd", 422),
        ("gopher://127.0.0.2:{port}", 422),
        ("//127.0.0.2", 422),
        ("http://127.0.0.2:1", 503),
        ("http://no-such-host.invalid", 503),
    ],
)
async def test_a39_an_address_leads_nowhere_it_may_not(
    ada: Person, theirs: FakeOpenWebUi, url: str, status: int
) -> None:
    flow = await starter(ada, "Words in a Template")
    port = theirs.url.rpartition(":")[2]
    body = asked(flow, theirs) | {"openwebui_url": url.format(port=port)}

    answer = await ada.post(f"{PUBLISH}/openwebui", json=body)

    assert answer.status_code == status, answer.text
    assert theirs.asked == []
    assert (await ada.get(f"{PUBLISH}/status/{flow}")).json() == []


async def test_an_answer_without_end_is_not_read_to_its_end(
    ada: Person, theirs: FakeOpenWebUi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "LARGEST", 64)
    theirs.functions["x"] = {"id": "x", "content": "y" * 100}
    flow = await starter(ada, "Words in a Template")

    answer = await ada.post(f"{PUBLISH}/openwebui", json=asked(flow, theirs))

    assert answer.status_code == 502
    assert answer.json() == {
        "detail": "The platform refuses this: it answers with more than is read"
    }


async def test_another_ones_flow_is_not_there_and_nobody_is_asked(
    ada: Person, bob: Person, theirs: FakeOpenWebUi
) -> None:
    flow = await starter(ada, "Words in a Template")
    for where in (PUBLISH, "/api/v1/undefined"):
        answers = [
            await bob.post(f"{where}/openwebui", json=asked(flow, theirs)),
            await bob.request("DELETE", f"{where}/openwebui", json=asked(flow, theirs)),
            await bob.get(f"{where}/status/{flow}"),
        ]
        assert {one.status_code for one in answers} == {404}
        assert {one.text for one in answers} == {'{"detail":"Flow not found"}'}

    assert theirs.asked == []
