"""Webhooks: who may deliver to a flow, and that a delivery is taken once."""

import base64
import secrets
import time
from collections.abc import Awaitable, Callable
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
from application.webhook_styles import (
    PREFIX,
    STYLES,
    Headers,
    UnusableWebhookSecretError,
    check_secret,
)
from domain.flow.events import SignatureStyle
from domain.flow.flow import Flow
from domain.kernel import DomainError

KIND: Final = "webhook-secret"
THEIRS: Final = frozenset({"stripe", "slack"})
"""Styles of those who make their secrets themselves."""


class SignatureRefusedError(DomainError):
    """The signature of this delivery, its time or its id is not right."""


class WebhookAccess(msgspec.Struct, frozen=True):
    """
    Who may deliver beside the owner: whoever signs, or anybody (``open``).

    ``style`` is the rules by which deliveries are signed, where they may be.
    """

    signed: bool
    open: bool
    style: SignatureStyle | None


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """
    How deliveries shall be signed.

    Without a ``secret`` one is made. Stripe and Slack make theirs themselves, so
    those must be told.
    """

    style: SignatureStyle = "standard"
    secret: str | None = None


class Delivery(msgspec.Struct, frozen=True):
    """A flow that something may be delivered to, and why it is then run."""

    flow: FlowToRun
    cause: Cause
    style: SignatureStyle | None = None


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

    async def set_secret(
        self, flow_id: UUID, signing: Signing, *, cause: Cause
    ) -> Done[str | None]:
        """
        Have deliveries signed, with no earlier secret; return one that was made.

        Raise `UnusableWebhookSecretError` if the one that was brought is none.
        """
        if signing.secret is not None:
            check_secret(signing.style, signing.secret)
        elif signing.style in THEIRS:
            raise UnusableWebhookSecretError(
                f"{signing.style.capitalize()} makes its own; send that as `secret`"
            )

        async def again(before: Saved) -> Done[str | None]:
            [secret] = ids_in(before.answer)
            opened = (await self._vault.open([secret])).get(secret)
            if opened is None:
                raise NotFoundError("secret", secret)
            made = None if signing.secret is not None else opened
            return Done(made, before.position)

        async def attempt() -> Done[str | None]:
            return await self._set_secret(flow_id, signing, cause=cause, again=again)

        return await once(
            self._store, cause, again=again, attempt=lambda: deciding_again(attempt)
        )

    async def _set_secret(
        self,
        flow_id: UUID,
        signing: Signing,
        *,
        cause: Cause,
        again: Callable[[Saved], Awaitable[Done[str | None]]],
    ) -> Done[str | None]:
        flow = await self._mine(cause.actor, flow_id)
        made = PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()
        plain = made if signing.secret is None else signing.secret
        sealed = await self._vault.seal(flow.owner, KIND, plain)
        earlier = flow.webhook_secret
        flow.sign_webhook(sealed.id, signing.style)
        saved = await self._store.save(
            flow,
            cause=cause,
            attached=Attached(
                secrets=(sealed,), destroyed=(earlier,) if earlier else ()
            ),
            answer=answer_of(sealed.id),
        )
        if saved.repeated:
            return await again(saved)
        return Done(made if signing.secret is None else None, saved.position)

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
        self, identifier: str, owner: UUID | None, headers: Headers, body: bytes
    ) -> Delivery:
        """
        Return the delivery that *headers* sign, or raise `SignatureRefusedError`.

        The same id is the same delivery: what is sent again, by whomever, starts
        nothing.
        """
        flow = await self._anybodys(identifier, owner)
        secret = await self._secret_of(flow)
        style = "standard" if flow is None else flow.webhook_style
        shown = STYLES[style](headers, body)
        right = shown.is_right(style, secret)
        if not right or flow is None or not shown.is_in_time(self._now()):
            raise SignatureRefusedError
        # Those of Standard Webhooks came first, and keep the names that they had.
        under = "signed" if style == "standard" else style
        command = uuid5(NAMESPACE_URL, f"webhook/{flow.id}/{under}/{shown.id}")
        cause = _kept(command, body if shown.same_body else b"")
        delivery = await self._delivery(flow, cause)
        return msgspec.structs.replace(delivery, style=style)

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


def _access(flow: FlowToRun) -> WebhookAccess:
    signed = flow.webhook_secret is not None
    return WebhookAccess(
        signed=signed,
        open=flow.webhook_open,
        style=flow.webhook_style if signed else None,
    )


def _kept(command: UUID, body: bytes) -> Cause:
    """Return a cause that takes effect once, for *body* alone."""
    return Cause(
        actor=SYSTEM,
        command_id=command,
        correlation_id=uuid4(),
        request_hash=sha256(body).digest(),
        idempotent=True,
    )
