"""Deliveries to flows: by key, by signature, or by whomever the owner lets."""

import asyncio
import base64
import hmac
import time
from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api.composition import Application
from application.webhook_styles import WINDOW, sign
from infrastructure.components.drawing import Drawing
from tests.api.asking import drawn_by, key_of
from tests.api.conftest import Person

BODY = b'{"order": 7, "note": "a\\nb"}'


@pytest.fixture
async def flow(ada: Person, application: Application) -> str:
    """A flow of Ada's that says what was delivered, and has a chat besides."""
    drawing = Drawing(application.world.components)
    hook = drawing.place("Webhook-w", "Webhook", (0, 0))
    parser = drawing.place(
        "ParserComponent-w",
        "ParserComponent",
        (1, 0),
        pattern="Order {order}: {note}",
    )
    said = drawing.place("TextOutput-w", "TextOutput", (2, 0))
    drawing.connect(hook, "output_data", parser, "input_data")
    drawing.connect(parser, "parsed_text", said, "input_value")
    heard = drawing.place("ChatInput-c", "ChatInput", (0, 1))
    answer = drawing.place("ChatOutput-c", "ChatOutput", (1, 1))
    drawing.connect(heard, "message", answer, "input_value")
    flow_id, _ = await drawn_by(ada, drawing.document(), endpoint=True)
    return flow_id


async def ended(person: Person, run: str) -> dict[str, Any]:
    """Wait for a run's end; return its row."""
    async with asyncio.timeout(30):
        while True:
            answer = (await person.get(f"/api/v1/runs/{run}")).json()
            if answer.get("ended_at"):
                return dict(answer)
            await asyncio.sleep(0.02)


async def runs_of(person: Person, flow: str) -> int:
    return int((await person.get(f"/api/v1/runs?flow_id={flow}")).json()["total"])


def signed(
    secret: str, body: bytes = BODY, *, delivery: str = "", at: float = 0
) -> dict[str, str]:
    delivery, moment = delivery or uuid4().hex, str(int(at or time.time()))
    return {
        "webhook-id": delivery,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,AAAA {sign(secret, delivery, moment, body)}",
    }


async def secret_of(person: Person, flow: str) -> str:
    answer = await person.post(f"/api/v1/flows/{flow}/webhook/secret")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["secret"])


async def test_a_delivery_is_a_run_that_can_be_seen(
    application: Application, ada: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    key = {"x-api-key": await key_of(ada)}
    answer = await anybody.post(f"/api/v1/webhook/{flow}", content=BODY, headers=key)
    run = await ended(ada, answer.headers["x-run-id"])
    head = await application.world.store.head()
    assert await application.daemon.reached(head, within=30)
    builds = (await ada.get(f"/api/v1/monitor/builds?flow_id={flow}")).json()

    assert answer.status_code == 202
    assert answer.json() == {
        "message": "Task started in the background",
        "status": "in progress",
    }
    assert (run["status"], run["trigger"]) == ("succeeded", "webhook")
    assert set(builds["vertex_builds"]) == {
        *("Webhook-w", "ParserComponent-w", "TextOutput-w")
    }
    [shown] = builds["vertex_builds"]["TextOutput-w"]
    assert shown["data"]["outputs"]["text"]["message"] == "Order 7: a\nb"


async def test_any_body_is_taken_but_none(ada: Person, flow: str) -> None:
    url = f"/api/v1/webhook/{flow}"
    for body in (b"plain words", b"\xff\x00\xfe", b"[1, 2]", b"a=1&b=2"):
        answer = await ada.post(
            url, content=body, headers={"Content-Type": "application/x-whatever"}
        )
        assert answer.status_code == 202, answer.text
        await ended(ada, answer.headers["x-run-id"])
    empty = await ada.post(url)
    large = await ada.post(url, content=b"x" * (5 * 1024 * 1024))

    assert empty.status_code == 400
    assert empty.json()["detail"].startswith("Request body is empty")
    assert large.status_code == 413


async def test_who_shows_nothing_is_told_nothing(
    ada: Person, bob: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    closed = await anybody.post(f"/api/v1/webhook/{flow}", content=BODY)
    unknown = await anybody.post(f"/api/v1/webhook/{uuid4()}", content=BODY)
    wrong = await anybody.post(
        f"/api/v1/webhook/{flow}", content=BODY, headers={"x-api-key": "sk-wrong"}
    )
    foreign = await bob.post(f"/api/v1/webhook/{flow}", content=BODY)
    nowhere = await bob.post("/api/v1/webhook/nowhere", content=BODY)

    assert closed.status_code == unknown.status_code == wrong.status_code == 403
    assert closed.json() == unknown.json()
    assert foreign.status_code == nowhere.status_code == 404
    assert foreign.json() == {"detail": f"Flow identifier {flow} not found"}
    assert await runs_of(ada, flow) == 0


async def test_an_open_webhook_takes_whatever_comes(
    ada: Person, bob: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    url, settings = f"/api/v1/webhook/{flow}", f"/api/v1/flows/{flow}/webhook"
    before = (await ada.get(settings)).json()
    opened = await ada.put(settings, json={"open": True})
    by_anybody = await anybody.post(url, content=BODY)
    by_bob = await bob.post(url, content=BODY)
    key = {"Idempotency-Key": uuid4().hex}
    once = [await anybody.post(url, content=BODY, headers=key) for _ in range(2)]
    other = await anybody.post(url, content=b"other", headers=key)
    name = (await ada.get(f"/api/v1/flows/{flow}")).json()["endpoint_name"]
    nameless = await anybody.post(f"/api/v1/webhook/{name}", content=BODY)
    named = await anybody.post(f"/api/v1/webhook/{name}?user_id={ada.id}", content=BODY)
    await ada.put(settings, json={"open": False})
    closed = await anybody.post(url, content=BODY)

    assert before == {"signed": False, "open": False, "style": None}
    assert opened.json() == {"signed": False, "open": True, "style": None}
    assert by_anybody.status_code == by_bob.status_code == named.status_code == 202
    assert once[0].headers["x-run-id"] == once[1].headers["x-run-id"]
    assert other.status_code == 422
    assert nameless.status_code == closed.status_code == 403
    run = await ended(ada, by_anybody.headers["x-run-id"])
    assert run["owner"] == ada.id


async def test_attack_a42_only_a_right_signature_is_taken(
    ada: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    url = f"/api/v1/webhook/{flow}"
    secret = await secret_of(ada, flow)
    right = signed(secret)
    taken = await anybody.post(url, content=BODY, headers=right)
    wrong = [
        (BODY + b" ", right),
        (BODY, right | {"webhook-id": uuid4().hex}),
        (BODY, right | {"webhook-timestamp": str(int(time.time()) - 1)}),
        (BODY, right | {"webhook-signature": "v1,AAAA"}),
        (BODY, right | {"webhook-signature": ""}),
        (BODY, {"webhook-signature": right["webhook-signature"]}),
        (BODY, signed("whsec_" + base64.b64encode(bytes(32)).decode())),
        (BODY, signed(secret, at=time.time() - WINDOW - 60)),
        (BODY, signed(secret, at=time.time() + WINDOW + 60)),
        (BODY, signed(secret, delivery="i" * 257)),
        (BODY, right | {"webhook-timestamp": "٣"}),
        (BODY, right | {"webhook-timestamp": "9" * 400}),
    ]
    refused = [
        await anybody.post(url, content=body, headers=headers_of(headers))
        for body, headers in wrong
    ]
    unknown = await anybody.post(
        f"/api/v1/webhook/{uuid4()}", content=BODY, headers=right
    )

    assert taken.status_code == 202
    assert {one.status_code for one in refused} == {403}
    assert unknown.status_code == 403
    assert unknown.json() == refused[0].json()
    assert await runs_of(ada, flow) == 1


def headers_of(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def test_attack_a42_what_is_delivered_again_starts_nothing(
    ada: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    url = f"/api/v1/webhook/{flow}"
    secret = await secret_of(ada, flow)
    headers = signed(secret, delivery="one")
    first = await anybody.post(url, content=BODY, headers=headers)
    replayed = [
        await anybody.post(url, content=BODY, headers=headers | more)
        for more in ({}, {"Idempotency-Key": "another"})
    ]
    headers = signed(secret, delivery="two")
    at_once = await asyncio.gather(
        *(anybody.post(url, content=BODY, headers=headers) for _ in range(2))
    )
    resent = await anybody.post(
        url, content=BODY, headers=signed(secret, delivery="one", at=time.time() - 9)
    )
    changed = await anybody.post(
        url, content=b"other", headers=signed(secret, b"other", delivery="one")
    )

    runs = {one.headers["x-run-id"] for one in (first, *replayed, resent)}
    assert len(runs) == 1
    assert len({one.headers["x-run-id"] for one in at_once}) == 1
    assert changed.status_code == 422
    assert await runs_of(ada, flow) == 2


async def test_a_secret_is_shown_once_kept_in_the_vault_and_can_be_changed(
    ada: Person, bob: Person, anybody: httpx.AsyncClient, flow: str, root: Person
) -> None:
    url, settings = f"/api/v1/webhook/{flow}", f"/api/v1/flows/{flow}/webhook"
    key = {"Idempotency-Key": uuid4().hex}
    first = (await ada.post(f"{settings}/secret", headers=key)).json()["secret"]
    repeat = (await ada.post(f"{settings}/secret", headers=key)).json()["secret"]
    second = await secret_of(ada, flow)
    by_first = await anybody.post(url, content=BODY, headers=signed(first))
    by_second = await anybody.post(url, content=BODY, headers=signed(second))
    shown = await ada.get(settings)
    exported = await ada.get(f"/api/v1/flows/{flow}")
    events = await root.get(f"/api/v1/admin/streams/{flow}")
    foreign = [
        await bob.get(settings),
        await bob.put(settings, json={"open": True}),
        await bob.post(f"{settings}/secret"),
        await bob.delete(f"{settings}/secret"),
    ]
    removed = await ada.delete(f"{settings}/secret")
    by_nothing = await anybody.post(url, content=BODY, headers=signed(second))

    assert first == repeat != second
    assert first.startswith("whsec_")
    assert by_first.status_code == by_nothing.status_code == 403
    assert by_second.status_code == 202
    assert shown.json() == {"signed": True, "open": False, "style": "standard"}
    for text in (shown.text, exported.text, events.text):
        assert first not in text
        assert second not in text
    assert {one.status_code for one in foreign} == {404}
    assert removed.status_code == 204


async def test_what_a_deactivated_owner_opened_is_closed(
    join: Any, root: Person, anybody: httpx.AsyncClient, application: Application
) -> None:
    carl = await join("carl")
    drawing = Drawing(application.world.components)
    drawing.place("Webhook-w", "Webhook", (0, 0))
    flow, _ = await drawn_by(carl, drawing.document())
    await carl.put(f"/api/v1/flows/{flow}/webhook", json={"open": True})
    before = await anybody.post(f"/api/v1/webhook/{flow}", content=BODY)
    await root.patch(f"/api/v1/users/{carl.id}", json={"is_active": False})
    after = await anybody.post(f"/api/v1/webhook/{flow}", content=BODY)

    assert before.status_code == 202
    assert after.status_code == 403


def of(style: str, secret: str, body: bytes, *, delivery: str) -> dict[str, str]:
    """Sign as whoever delivers in that style."""
    at = str(int(time.time()))

    def digest(words: bytes) -> str:
        return hmac.new(secret.encode(), words, sha256).hexdigest()

    match style:
        case "github":
            return {
                "X-GitHub-Delivery": delivery,
                "X-Hub-Signature-256": f"sha256={digest(body)}",
            }
        case "stripe":
            v1 = digest(f"{at}.".encode() + body)
            return {"Stripe-Signature": f"t={at},v1={v1}"}
        case _:
            v0 = digest(f"v0:{at}:".encode() + body)
            return {"X-Slack-Request-Timestamp": at, "X-Slack-Signature": f"v0={v0}"}


@pytest.mark.parametrize("style", ["github", "stripe", "slack"])
async def test_a_delivery_is_signed_in_the_style_its_flow_is_set_to(
    ada: Person, anybody: httpx.AsyncClient, flow: str, root: Person, style: str
) -> None:
    url, settings = f"/api/v1/webhook/{flow}", f"/api/v1/flows/{flow}/webhook"
    brought = f"whsec_brought-by-{uuid4().hex}"
    body = b'{"id": "evt_7", "event_id": "Ev7", "order": 7, "note": "n"}'
    set_ = await ada.post(
        f"{settings}/secret", json={"style": style, "secret": brought}
    )
    right = of(style, brought, body, delivery="d-1")
    first = await anybody.post(url, content=body, headers=right)
    again = of(style, brought, body, delivery="d-1")
    second = await anybody.post(url, content=body, headers=again)
    wrong = of(style, brought + "x", body, delivery="d-2")
    refused = await anybody.post(url, content=body, headers=wrong)
    standard = await anybody.post(
        url, content=body, headers=signed("whsec_" + base64.b64encode(b"k").decode())
    )
    events = await root.get(f"/api/v1/admin/streams/{flow}")

    assert (set_.status_code, set_.json()) == (201, {"secret": None, "style": style})
    assert (await ada.get(settings)).json()["style"] == style
    assert first.status_code == second.status_code == 202
    assert first.headers["x-run-id"] == second.headers["x-run-id"]
    assert refused.status_code == standard.status_code == 403
    assert await runs_of(ada, flow) == 1
    assert brought not in events.text
    assert (await ended(ada, first.headers["x-run-id"]))["status"] == "succeeded"


async def test_slack_is_answered_what_it_asks_before_it_delivers(
    ada: Person, anybody: httpx.AsyncClient, flow: str
) -> None:
    url, settings = f"/api/v1/webhook/{flow}", f"/api/v1/flows/{flow}/webhook"
    secret = uuid4().hex
    await ada.post(f"{settings}/secret", json={"style": "slack", "secret": secret})
    asked = b'{"type": "url_verification", "challenge": "3eZb", "token": "t"}'
    answered = await anybody.post(
        url, content=asked, headers=of("slack", secret, asked, delivery="")
    )
    unsigned = await anybody.post(url, content=asked)

    assert (answered.status_code, answered.json()) == (200, {"challenge": "3eZb"})
    assert unsigned.status_code == 403
    assert await runs_of(ada, flow) == 0


async def test_a_secret_must_be_one_that_its_style_can_sign_with(
    ada: Person, flow: str
) -> None:
    settings = f"/api/v1/flows/{flow}/webhook"
    made = await ada.post(f"{settings}/secret", json={"style": "github"})
    refused = [
        await ada.post(f"{settings}/secret", json=body)
        for body in (
            {"style": "stripe"},
            {"style": "slack"},
            {"style": "github", "secret": "short"},
            {"secret": "not of standard webhooks"},
        )
    ]
    unknown = await ada.post(f"{settings}/secret", json={"style": "gitea"})

    assert made.json()["secret"].startswith("whsec_")
    assert {one.status_code for one in refused} == {422}
    assert unknown.status_code == 422
    assert (await ada.get(settings)).json()["style"] == "github"
