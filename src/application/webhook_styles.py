"""How deliveries are signed: by Standard Webhooks, or as GitHub, Stripe, Slack do."""

import base64
import hmac
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from domain.flow.events import SignatureStyle
from domain.kernel import DomainError

WINDOW: Final = 300.0
"""Seconds that the clock of whoever signs may be apart from ours, either way."""
PREFIX: Final = "whsec_"
LONGEST_ID: Final = 256
SHORTEST, LONGEST = 8, 256
"""How many characters a secret has that somebody brings."""
_MOST_SIGNATURES: Final = 10

type Headers = Mapping[str, str]


class UnusableWebhookSecretError(DomainError):
    """Such a secret cannot sign deliveries in this style."""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """
    A delivery as it was signed.

    ``words`` is what the signature is of; ``given`` are signatures, of which one must
    be right. ``at`` is the time in seconds since 1970 as it was sent, where the style
    signs one. ``id`` tells one delivery from another; ``same_body`` that under one id
    the body is always the same.
    """

    words: bytes
    given: tuple[bytes, ...]
    id: str
    at: str | None = None
    same_body: bool = True

    def is_right(self, style: SignatureStyle, secret: str | None) -> bool:
        """Tell, in the same time for all, whether *secret* signed it."""
        key = bytes(32) if secret is None else key_of(style, secret)
        right = _written(style, hmac.digest(key, self.words, sha256))
        found = [hmac.compare_digest(one, right) for one in self.given]
        return any(found) and secret is not None and 0 < len(self.id) <= LONGEST_ID

    def is_in_time(self, now: float) -> bool:
        """Tell whether its time is about *now*; one that is not signed is."""
        if self.at is None:
            return True
        if not (self.at.isascii() and self.at.isdigit()):
            return False
        return abs(now - int(self.at[:18])) <= WINDOW


def _standard(headers: Headers, body: bytes) -> Signed:
    """Read https://www.standardwebhooks.com: ``v1,<Base64>``, with spaces between."""
    delivery = headers.get("webhook-id", "")
    at = headers.get("webhook-timestamp", "")
    return Signed(
        words=f"{delivery}.{at}.".encode() + body,
        given=_some(headers.get("webhook-signature", "").split(" ")),
        id=delivery,
        at=at,
    )


def _github(headers: Headers, body: bytes) -> Signed:
    """Read https://docs.github.com/webhooks: of the body alone, ``sha256=<hex>``."""
    return Signed(
        words=body,
        given=_some([headers.get("x-hub-signature-256", "")]),
        id=headers.get("x-github-delivery", ""),
    )


def _stripe(headers: Headers, body: bytes) -> Signed:
    """Read https://docs.stripe.com/webhooks: ``t=<time>,v1=<hex>``, v1 repeatedly."""
    parts = [
        (name.strip(), value)
        for name, _, value in (
            part.partition("=")
            for part in headers.get("stripe-signature", "").split(",")
        )
    ]
    at = next((value for name, value in parts if name == "t"), "")
    words = f"{at}.".encode() + body
    event = _text_in(body, "id")
    return Signed(
        words=words,
        given=_some([value for name, value in parts if name == "v1"]),
        id=event or sha256(words).hexdigest(),
        at=at,
        same_body=not event,  # what an event tells beside its object may change
    )


def _slack(headers: Headers, body: bytes) -> Signed:
    """Read https://api.slack.com/authentication: ``v0=<hex>`` of ``v0:time:body``."""
    at = headers.get("x-slack-request-timestamp", "")
    words = f"v0:{at}:".encode() + body
    return Signed(
        words=words,
        given=_some([headers.get("x-slack-signature", "")]),
        id=_text_in(body, "event_id") or sha256(words).hexdigest(),
        at=at,
    )


STYLES: Final[Mapping[SignatureStyle, Callable[[Headers, bytes], Signed]]] = {
    "standard": _standard,
    "github": _github,
    "stripe": _stripe,
    "slack": _slack,
}
SHOWN: Final = frozenset(
    {
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
        *("x-hub-signature-256", "stripe-signature"),
        *("x-slack-signature", "x-slack-request-timestamp"),
    }
)
"""Headers of which any says that a delivery is meant to be a signed one."""


def shows_a_signature(headers: Headers) -> bool:
    """Tell whether *headers* bring any part of a signature, of whatever style."""
    return any(name in headers for name in SHOWN)


def key_of(style: SignatureStyle, secret: str) -> bytes:
    """Return the key that a secret is; those of Standard Webhooks are Base64."""
    if style != "standard":
        return secret.encode()
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def check_secret(style: SignatureStyle, secret: str) -> None:
    """Raise `UnusableWebhookSecretError` if nobody should sign with *secret*."""
    try:
        key = key_of(style, secret)
    except ValueError as error:
        said = f"it is not {PREFIX} and Base64"
        raise UnusableWebhookSecretError(said) from error
    if not (secret.isprintable() and SHORTEST <= len(secret) <= LONGEST and key):
        said = f"it has {SHORTEST} to {LONGEST} characters"
        raise UnusableWebhookSecretError(said)


def sign(secret: str, delivery: str, at: str, body: bytes) -> str:
    """Return the Standard Webhooks signature of a delivery, as its sender makes it."""
    words = f"{delivery}.{at}.".encode() + body
    digest = hmac.digest(key_of("standard", secret), words, sha256)
    return _written("standard", digest).decode()


def _written(style: SignatureStyle, digest: bytes) -> bytes:
    match style:
        case "standard":
            return b"v1," + base64.b64encode(digest)
        case "github":
            return b"sha256=" + digest.hex().encode()
        case "stripe":
            return digest.hex().encode()
        case "slack":
            return b"v0=" + digest.hex().encode()


def _some(signatures: list[str]) -> tuple[bytes, ...]:
    return tuple(one.encode() for one in signatures[:_MOST_SIGNATURES])


def _text_in(body: bytes, name: str) -> str:
    """Return a text of a body that is a JSON object, or nothing."""
    try:
        plain: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    found = plain.get(name) if isinstance(plain, dict) else None
    return found if isinstance(found, str) else ""
