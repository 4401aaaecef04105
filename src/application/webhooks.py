"""Webhooks: who may deliver to a flow, and that a delivery is taken once."""

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import msgspec

from application.commands import Done, answer_of, deciding_again, ids_in
from application.execution.flows import FlowsToRun, FlowToRun
from application.permissions import NotFoundError, Permissions
from application.ports import (
    SYSTEM,
    Actor,
    Attached,
    Cause,
    EventStore,
    Ownership,
    Saved,
    Vault,
)
from application.repeats import once
from application.standing import Standings
from domain.flow.flow import Flow
from domain.kernel import DomainError

WINDOW: Final = 300.0
"""Seconds that the clock of whoever signs may be apart from ours, either way."""
PREFIX: Final = "whsec_"
KIND: Final = "webhook-secret"
SCHEME: Final = "v1"
LONGEST_ID: Final = 256
_NOBODYS: Final = "nobody's secret"


class SignatureRefusedError(DomainError):
    """The signature of this delivery, its time or its id is not right."""


class WebhookAccess(msgspec.Struct, frozen=True):
    """Who may deliver beside the owner: whoever signs, or anybody (``open``)."""

    signed: bool
    open: bool


class Signature(msgspec.Struct, frozen=True):
    """
    How a delivery is signed, by the rules of standardwebhooks.com.

    ``signatures`` are ``v1,<Base64 of HMAC-SHA256>``, with a space between; signed
    are the id, the time in seconds since 1970, and the body, with dots between.
    """

    id: str
    at: str
    signatures: str


class Delivery(msgspec.Struct, frozen=True):
    """A flow that something may be delivered to, and why it is then run."""

    flow: FlowToRun
    cause: Cause


class Webhooks:
    """Says who may deliver to a flow, and looks at what they show."""

    def __init__(
        self,
        store: EventStore,
        *,
        ownership: Ownership,
        vault: Vault,
        flows: FlowsToRun,
        accounts: Standings,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._permissions = Permissions(ownership)
        self._vault = vault
        self._flows = flows
        self._accounts = accounts
        self._now = now

    async def access(self, actor: Actor, flow_id: UUID) -> WebhookAccess:
        """Tell who may deliver to *actor*'s flow."""
        return _access(await self._flows.head(actor, flow_id))

    async def set_secret(self, flow_id: UUID, *, cause: Cause) -> Done[str]:
        """Make a new secret to sign with, in place of any earlier; return it."""

        async def again(before: Saved) -> Done[str]:
            [secret] = ids_in(before.answer)
            opened = (await self._vault.open([secret])).get(secret)
            if opened is None:
                raise NotFoundError("secret", secret)
            return Done(opened, before.position)

        async def attempt() -> Done[str]:
            flow = await self._mine(cause.actor, flow_id)
            plain = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
            sealed = await self._vault.seal(flow.owner, KIND, plain)
            earlier = flow.webhook_secret
            flow.sign_webhook(sealed.id)
            saved = await self._store.save(
                flow,
                cause=cause,
                attached=Attached(
                    secrets=(sealed,), destroyed=(earlier,) if earlier else ()
                ),
                answer=answer_of(sealed.id),
            )
            return await again(saved) if saved.repeated else Done(plain, saved.position)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def remove_secret(self, flow_id: UUID, *, cause: Cause) -> Done[None]:
        """Take no signed deliveries any more."""

        def decide(flow: Flow) -> Attached:
            earlier = flow.webhook_secret
            flow.unsign_webhook()
            return Attached(destroyed=(earlier,) if earlier else ())

        return await self._decided(flow_id, decide, cause=cause)

    async def set_open(
        self, flow_id: UUID, *, to_anybody: bool, cause: Cause
    ) -> Done[None]:
        """Let anybody deliver, or only who shows something."""

        def decide(flow: Flow) -> Attached:
            flow.open_webhook(to_anybody=to_anybody)
            return Attached()

        return await self._decided(flow_id, decide, cause=cause)

    async def owned(self, identifier: str, *, cause: Cause) -> Delivery:
        """
        Return the delivery of somebody with a credential, or raise `NotFoundError`.

        It is to a flow of their own, or to one that is open to anybody.
        """
        try:
            return Delivery(await self._flows.named(cause.actor, identifier), cause)
        except NotFoundError:
            flow = await self._anybodys(identifier, None)
            if flow is None or not flow.webhook_open:
                raise
        return await self._delivery(flow, cause)

    async def signed(
        self, identifier: str, owner: UUID | None, signature: Signature, body: bytes
    ) -> Delivery:
        """
        Return the delivery that *signature* is for, or raise `SignatureRefusedError`.

        The same id is the same delivery: what is sent again, by whomever, starts
        nothing.
        """
        flow = await self._anybodys(identifier, owner)
        secret = await self._secret_of(flow)
        right = _is_signed(secret or _NOBODYS, signature, body)
        if not right or secret is None or flow is None or not self._in_time(signature):
            raise SignatureRefusedError
        command = uuid5(NAMESPACE_URL, f"webhook/{flow.id}/signed/{signature.id}")
        return await self._delivery(flow, _kept(command, body))

    async def unsigned(
        self, identifier: str, owner: UUID | None, *, key: str | None, body: bytes
    ) -> Delivery:
        """Return a delivery of anybody's, or raise `NotFoundError`."""
        flow = await self._anybodys(identifier, owner)
        if flow is None or not flow.webhook_open:
            raise NotFoundError("flow", identifier)
        cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
        if key:
            command = uuid5(NAMESPACE_URL, f"webhook/{flow.id}/unsigned/{key}")
            cause = _kept(command, body)
        return await self._delivery(flow, cause)

    async def _delivery(self, flow: FlowToRun, cause: Cause) -> Delivery:
        """Return a delivery on the owner's behalf, if they may have things run."""
        standing = await self._accounts.get(flow.owner)
        if standing is None or not standing.active:
            raise NotFoundError("flow", flow.id)
        actor = Actor(user=flow.owner, credential=f"webhook:{flow.id}")
        return Delivery(flow, msgspec.structs.replace(cause, actor=actor))

    async def _anybodys(self, identifier: str, owner: UUID | None) -> FlowToRun | None:
        """Return a flow by its id, or by the endpoint name that *owner* gave it."""
        try:
            if owner is not None:
                return await self._flows.named(Actor(user=owner), identifier)
            return await self._flows.head(SYSTEM, UUID(identifier))
        except (ValueError, NotFoundError):
            return None

    async def _secret_of(self, flow: FlowToRun | None) -> str | None:
        if flow is None or flow.webhook_secret is None:
            return None
        return (await self._vault.open([flow.webhook_secret])).get(flow.webhook_secret)

    def _in_time(self, signature: Signature) -> bool:
        if not (signature.at.isascii() and signature.at.isdigit()):
            return False
        return abs(self._now() - int(signature.at[:18])) <= WINDOW

    async def _mine(self, actor: Actor, flow_id: UUID) -> Flow:
        await self._permissions.require(actor, "flow", flow_id)
        flow = await self._store.load(Flow, flow_id)
        if flow.deleted:
            raise NotFoundError("flow", flow_id)
        return flow

    async def _decided(
        self, flow_id: UUID, decide: Callable[[Flow], Attached], *, cause: Cause
    ) -> Done[None]:
        async def again(before: Saved) -> Done[None]:
            return Done(None, before.position)

        async def attempt() -> Done[None]:
            flow = await self._mine(cause.actor, flow_id)
            attached = decide(flow)
            saved = await self._store.save(flow, cause=cause, attached=attached)
            return Done(None, saved.position)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )


def signature_in(headers: Mapping[str, str]) -> Signature | None:
    """Return the signature that *headers* bring, if they bring any part of one."""
    id_, at, signatures = (
        headers.get(f"webhook-{name}") for name in ("id", "timestamp", "signature")
    )
    if id_ is None and at is None and signatures is None:
        return None
    return Signature(id_ or "", at or "", signatures or "")


def sign(secret: str, delivery: str, at: str, body: bytes) -> str:
    """Return the signature of a delivery, as whoever delivers it makes it."""
    key = base64.b64decode(secret.removeprefix(PREFIX), validate=False)
    signed = f"{delivery}.{at}.".encode() + body
    digest = hmac.digest(key, signed, sha256)
    return f"{SCHEME},{base64.b64encode(digest).decode()}"


def _is_signed(secret: str, signature: Signature, body: bytes) -> bool:
    if not signature.id or len(signature.id) > LONGEST_ID:
        return False
    if secret == _NOBODYS:  # as long as if there were a secret
        secret = PREFIX + base64.b64encode(bytes(32)).decode()
    right = sign(secret, signature.id, signature.at, body).encode()
    given = signature.signatures.encode().split(b" ")[:10]
    return any(hmac.compare_digest(one, right) for one in given)


def _access(flow: FlowToRun) -> WebhookAccess:
    return WebhookAccess(signed=flow.webhook_secret is not None, open=flow.webhook_open)


def _kept(command: UUID, body: bytes) -> Cause:
    """Return a cause that takes effect once, for *body* alone."""
    return Cause(
        actor=SYSTEM,
        command_id=command,
        correlation_id=uuid4(),
        request_hash=sha256(body).digest(),
        idempotent=True,
    )
