"""Signatures as those who invented them publish them, and what is none."""

import base64
import hmac
from hashlib import sha256
from typing import Any

import pytest

from application.webhook_styles import (
    STYLES,
    WINDOW,
    UnusableWebhookSecretError,
    check_secret,
    shows_a_signature,
    sign,
)
from domain.flow.events import SignatureStyle

# https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
GITHUB = (
    "It's a Secret to Everybody",
    {
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a"
        "37570b6d7586c22c46f4379c8b043e17",
        "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    },
    b"Hello, World!",
)
# https://api.slack.com/authentication/verifying-requests-from-slack
SLACK = (
    "8f742231b10e8888abcd99yyyzzz85a5",
    {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235"
        "a7b4a8d21a10bd27519666489c69b503",
    },
    (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow"
        b"&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA"
        b"&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J"
        b"%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    ),
)
# https://github.com/standard-webhooks/standard-webhooks
STANDARD = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    },
    b'{"test": 2432232314}',
)
# Stripe publishes the rule (https://docs.stripe.com/webhooks#verify-manually), and no
# example with its secret.
EVENT = b'{"id": "evt_1", "type": "charge.succeeded"}'
OF_EVENT = hmac.new(b"whsec_stripes", b"1492774577." + EVENT, sha256).hexdigest()
STRIPE = (
    "whsec_stripes",
    {"stripe-signature": f"t=1492774577,v1={'0' * 64},v1={OF_EVENT},v0={'1' * 64}"},
    EVENT,
)
EXAMPLES: list[Any] = [
    ("github", *GITHUB),
    ("slack", *SLACK),
    ("standard", *STANDARD),
    ("stripe", *STRIPE),
]


@pytest.mark.parametrize(("style", "secret", "headers", "body"), EXAMPLES)
def test_the_published_signature_is_right_and_no_other(
    style: SignatureStyle, secret: str, headers: dict[str, str], body: bytes
) -> None:
    read = STYLES[style]

    assert shows_a_signature(headers)
    assert read(headers, body).is_right(style, secret)
    assert not read(headers, body + b" ").is_right(style, secret)
    assert not read(headers, body).is_right(style, None)
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert not read(headers, body).is_right(style, other)
    for name in headers:
        left = {key: value for key, value in headers.items() if key != name}
        assert not read(left, body).is_right(style, secret)
    for wrong in set(STYLES) - {style}:
        assert not STYLES[wrong](headers, body).is_right(wrong, other)


@pytest.mark.parametrize(("style", "secret", "headers", "body"), EXAMPLES)
def test_what_is_signed_with_its_time_holds_for_a_while(
    style: SignatureStyle, secret: str, headers: dict[str, str], body: bytes
) -> None:
    shown = STYLES[style](headers, body)
    if style == "github":  # signs no time
        assert shown.at is None
        assert shown.is_in_time(0)
        return
    at = float(shown.at or "")

    assert shown.is_in_time(at - WINDOW)
    assert shown.is_in_time(at + WINDOW)
    assert not shown.is_in_time(at + WINDOW + 1)
    assert not shown.is_in_time(at - WINDOW - 1)


def test_a_delivery_is_known_again_by_its_id_or_by_what_was_signed() -> None:
    assert STYLES["github"](*GITHUB[1:]).id == GITHUB[1]["x-github-delivery"]
    assert STYLES["stripe"](*STRIPE[1:]).id == "evt_1"
    called = STYLES["slack"](SLACK[1], b'{"event_id": "Ev1"}')
    assert called.id == "Ev1"
    command = STYLES["slack"](*SLACK[1:])
    later = STYLES["slack"](SLACK[1] | {"x-slack-request-timestamp": "2"}, SLACK[2])
    assert len(command.id) == 64
    assert command.id == STYLES["slack"](*SLACK[1:]).id != later.id
    for body in (b"[]", b"\xff", b'{"id": 7}', b"[" * 100_000):
        assert len(STYLES["stripe"](STRIPE[1], body).id) == 64


@pytest.mark.parametrize(
    ("style", "secret"),
    [
        ("standard", "whsec_not base64!"),
        ("standard", "whsec_"),
        ("github", "short"),
        ("github", "x" * 257),
        ("slack", "a\nb" * 10),
    ],
)
def test_a_secret_that_signs_badly_is_refused(
    style: SignatureStyle, secret: str
) -> None:
    with pytest.raises(UnusableWebhookSecretError):
        check_secret(style, secret)


def test_a_signature_is_the_one_of_standard_webhooks() -> None:
    secret, headers, body = STANDARD

    made = sign(secret, headers["webhook-id"], headers["webhook-timestamp"], body)

    assert made == headers["webhook-signature"].split(" ")[1]
