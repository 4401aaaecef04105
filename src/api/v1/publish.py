"""Flows published on OpenWebUI, and where they are."""

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.params import FromPath, RequestBody
from msgspec import Meta

from api.given import Given
from api.lists import Part
from api.requests import Answers
from api.v1.users import naive
from application.names import Name
from application.permissions import Permissions, person
from application.ports import Actor, Cause
from application.ports.publishing import Site
from application.publishing import Published, Publishing
from projections.flows.views import FlowName, FlowViews
from projections.publications.views import PublicationRow, PublicationViews

type Address = Annotated[
    str,
    Meta(min_length=8, max_length=2_000, examples=["https://chat.example.org"]),
]
type Secret = Annotated[
    # A line break at the end would pass, for `$` stands before it, too.
    str, Meta(max_length=4_096, pattern=r"^[!-~]+$(?!\n)", examples=["sk-theirs"])
]

PLATFORM: Final = "OpenWebUI"


class PublishRequest(msgspec.Struct, frozen=True, kw_only=True):
    """
    Where to, and with whose key there.

    ``langbuilder_api_key`` is a key of this server's for OpenWebUI to use; without
    one an administrator enters it there. Neither key is kept.
    """

    flow_id: UUID
    openwebui_url: Address
    openwebui_api_key: Secret
    model_name: Annotated[Name, Meta(min_length=1)] | None = None
    langbuilder_api_key: Secret | None = None


class UnpublishRequest(msgspec.Struct, frozen=True, kw_only=True):
    """From where, and with whose key there."""

    flow_id: UUID
    openwebui_url: Address
    openwebui_api_key: Secret


class PublishResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What the flow is called there."""

    success: bool
    model_id: str
    model_name: str
    openwebui_url: str
    pipe_function_deployed: bool
    message: str


class UnpublishResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken away, and from where."""

    success: bool
    message: str
    flow_id: UUID
    platform_url: str


class PublishRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One place where a flow is published, or was."""

    id: UUID
    flow_id: UUID
    platform: str
    platform_url: str
    external_id: str
    published_at: str
    published_by: str | None
    status: str
    metadata: dict[str, Any]
    last_sync_at: str
    error_message: str | None


class PublishController(Controller):
    """Commands go to `Publishing`; questions to the view."""

    path = "/publish"
    tags = ("Publish",)

    @get("/flows")
    async def flows(
        self,
        *,
        actor: Given[Actor],
        publication_views: Given[PublicationViews],
        flow_views: Given[FlowViews],
        part: Given[Part],
    ) -> list[FlowName]:
        """List one's flows that are published somewhere."""
        found = await publication_views.active(
            person(actor), limit=part.limit, offset=part.offset
        )
        return await flow_views.briefly(part.told(found))

    @post("/openwebui", status_code=200)
    async def publish(
        self,
        *,
        request: Request[Any, Any, Any],
        data: RequestBody[PublishRequest],
        actor: Given[Actor],
        publishing: Given[Publishing],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> PublishResponse:
        """Publish a flow as a model of OpenWebUI, or publish it anew."""
        done = await publishing.publish(
            actor,
            data.flow_id,
            Site(data.openwebui_url, data.openwebui_api_key),
            server=str(request.base_url).rstrip("/"),
            name=data.model_name,
            key=data.langbuilder_api_key,
            cause=cause,
        )
        await answers.settle(done.position)
        published = done.result
        return PublishResponse(
            success=published.error is None,
            model_id=published.external_id,
            model_name=published.model_name,
            openwebui_url=published.platform_url,
            pipe_function_deployed=True,
            message=_said(published, keyed=data.langbuilder_api_key is not None),
        )

    @delete("/openwebui", status_code=200)
    async def unpublish(
        self,
        *,
        data: RequestBody[UnpublishRequest],
        actor: Given[Actor],
        publishing: Given[Publishing],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> UnpublishResponse:
        """Take a flow away from an OpenWebUI."""
        done = await publishing.unpublish(
            actor,
            data.flow_id,
            Site(data.openwebui_url, data.openwebui_api_key),
            cause=cause,
        )
        await answers.settle(done.position)
        return UnpublishResponse(
            success=True,
            message=f"Flow unpublished from {PLATFORM}",
            flow_id=data.flow_id,
            platform_url=done.result.platform_url,
        )

    @get("/status/{flow_id:str}")
    async def status(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        permissions: Given[Permissions],
        publication_views: Given[PublicationViews],
        part: Given[Part],
    ) -> list[PublishRecord]:
        """List where a flow is published, or was."""
        await permissions.require(actor, "flow", flow_id)
        found = await publication_views.of_flow(
            flow_id, limit=part.limit, offset=part.offset
        )
        return list(map(_record, part.told(found)))


class UndefinedController(PublishController):
    """The same under the address that LangBuilder's front end asks by mistake."""

    path = "/undefined"
    tags = ("Publish",)


def _said(published: Published, *, keyed: bool) -> str:
    if published.error:
        return published.error
    if keyed:
        return f"Flow published to {PLATFORM}"
    return f"Flow published to {PLATFORM}; enter LANGBUILDER_API_KEY in its valves"


def _record(row: PublicationRow) -> PublishRecord:
    return PublishRecord(
        id=row.id,
        flow_id=row.flow_id,
        platform=row.platform,
        platform_url=row.platform_url,
        external_id=row.external_id,
        published_at=naive(row.published_at),
        published_by=row.published_by,
        status=row.status,
        metadata={"model_name": row.model_name},
        last_sync_at=naive(row.last_sync_at),
        error_message=row.error,
    )
