"""Webhooks: other systems deliver to flows, and owners say who may."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, RequestBody

from api.given import Given
from api.problems import BEARER, Refusal
from api.requests import Answers, cause_of
from api.security import GUARDED_ITSELF, KEY, RUN, admit
from api.stamps import leave
from api.v1.run_shapes import no_variables_in_headers
from application.permissions import NotFoundError
from application.ports import Actor, Cause
from application.runs import Runs
from application.webhook_styles import shows_a_signature
from application.webhooks import Delivery, Signing, WebhookAccess, Webhooks
from domain.flow.events import SignatureStyle
from domain.run.asked import Asked

EMPTY = (
    "Request body is empty. You should provide a JSON payload containing the flow ID."
)
NO_KEY = "An API key must be passed as query or header"

AnyRequest = Request[Any, Any, Any]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery was taken, and its run goes on by itself."""

    message: str = "Task started in the background"
    status: str = "in progress"


class OpenTo(msgspec.Struct, frozen=True, kw_only=True):
    """Whether anybody may deliver, without key or signature."""

    open: bool


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The secret to sign deliveries with, shown this once; none that was brought."""

    secret: str | None
    style: SignatureStyle


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What Slack wants to hear once, before it delivers."""

    challenge: str


ASKED = {
    200: ResponseSpec(Challenge, description="What Slack asked before it delivers")
}


class _Verification(msgspec.Struct, tag_field="type", tag="url_verification"):
    challenge: str


async def admit_who_shows_a_key(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """Let in who has a credential; who has none must sign, or find the flow open."""
    shown = connection.headers.get("authorization") or connection.headers.get(KEY)
    if shown or connection.query_params.get(KEY):
        await admit(connection, handler)


class WebhookController(Controller):
    """Where other systems deliver to."""

    path = "/webhook"
    tags = ("Webhooks",)
    guards = (no_variables_in_headers,)

    @post(
        "/{flow_id_or_name:str}",
        status_code=202,
        guards=[admit_who_shows_a_key],
        responses=ASKED,
        opt=GUARDED_ITSELF | RUN,
    )
    async def deliver(
        self,
        *,
        flow_id_or_name: FromPath[str],
        request: AnyRequest,
        webhooks: Given[Webhooks],
        runs: Given[Runs],
        user_id: FromQuery[UUID | None] = None,
    ) -> Response[Taken | Challenge]:
        """
        Run a flow with the body of the request, whatever that is.

        Send an API key, or sign as the owner said; a flow may be open as well. What
        Slack asks before it delivers is answered with 200, and runs nothing.
        """
        body = await request.body()
        delivery = await _delivery(request, flow_id_or_name, user_id, webhooks, body)
        if not body:
            raise Refusal(400, EMPTY)
        if delivery.style == "slack" and (asked := _challenge_in(body)):
            return Response(asked, status_code=200)
        requested = await runs.request(
            delivery.flow,
            Asked(
                payload=body.decode(errors="replace"),
                output_type="any",
                whole_run=True,
            ),
            trigger="webhook",
            cause=delivery.cause,
        )
        leave(request.scope, {"x-run-id": str(requested.run)})
        return Response(Taken())


class WebhookAccessController(Controller):
    """What owners say of who may deliver to a flow."""

    path = "/flows/{flow_id:str}/webhook"
    tags = ("Webhooks",)

    @get("/")
    async def access(
        self,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        webhooks: Given[Webhooks],
    ) -> WebhookAccess:
        """Tell who may deliver to a flow, beside its owner."""
        return await webhooks.access(actor, flow_id)

    @put("/")
    async def open(
        self,
        *,
        flow_id: FromPath[UUID],
        data: RequestBody[OpenTo],
        cause: Given[Cause],
        webhooks: Given[Webhooks],
        answers: Given[Answers],
    ) -> WebhookAccess:
        """Let anybody deliver to a flow, or nobody without key or signature."""
        done = await webhooks.set_open(flow_id, to_anybody=data.open, cause=cause)
        await answers.settle(done.position)
        return await webhooks.access(cause.actor, flow_id)

    @post("/secret", status_code=201)
    async def set_secret(
        self,
        *,
        flow_id: FromPath[UUID],
        cause: Given[Cause],
        webhooks: Given[Webhooks],
        answers: Given[Answers],
        data: RequestBody[Signing | None] = None,
    ) -> NewSecret:
        """Have deliveries signed with a new secret; an earlier one is void."""
        signing = data or Signing()
        done = await webhooks.set_secret(flow_id, signing, cause=cause)
        await answers.settle(done.position)
        return NewSecret(secret=done.result, style=signing.style)

    @delete("/secret", status_code=204)
    async def remove_secret(
        self,
        *,
        flow_id: FromPath[UUID],
        cause: Given[Cause],
        webhooks: Given[Webhooks],
        answers: Given[Answers],
    ) -> None:
        """Take no signed deliveries any more."""
        done = await webhooks.remove_secret(flow_id, cause=cause)
        await answers.settle(done.position)


async def _delivery(
    request: AnyRequest,
    identifier: str,
    owner: UUID | None,
    webhooks: Webhooks,
    body: bytes,
) -> Delivery:
    """Return what may be delivered, by key, by signature, or by whomever."""
    if request.state.get("actor") is not None:
        try:
            return await webhooks.owned(identifier, cause=await cause_of(request))
        except NotFoundError:
            raise Refusal(404, f"Flow identifier {identifier} not found") from None
    if shows_a_signature(request.headers):
        return await webhooks.signed(identifier, owner, request.headers, body)
    key = request.headers.get("idempotency-key")
    try:
        return await webhooks.unsigned(identifier, owner, key=key, body=body)
    except NotFoundError:
        # Closed and unknown alike: who shows nothing is told nothing.
        raise Refusal(403, NO_KEY, BEARER) from None


def _challenge_in(body: bytes) -> Challenge | None:
    """Return what Slack asks before it delivers, if *body* is that."""
    try:
        asked = msgspec.json.decode(body, type=_Verification)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return Challenge(challenge=asked.challenge)
