"""Flows: drawn, saved, listed, uploaded and downloaded."""

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, MultipartBody, RequestBody

from api.archives import MOST_FLOWS, flows_in, uploaded_json
from api.given import Given
from api.icons import with_emoji
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers, bounded_page, expected_version
from api.security import PUBLIC, READ
from api.v1.examples import Examples
from api.v1.flow_files import flows_as_zip
from api.v1.flow_lists import WholeFlows
from api.v1.flow_shapes import (
    FlowHead,
    FlowRead,
    decided,
    exported,
    flow_head,
    seen,
    shown,
)
from api.zipping import gzipped, packed
from application.documents import Documents
from application.editing import Editing, FlowChange, Served
from application.flows import Flows, NewFlow
from application.permissions import NotFoundError, owns, person
from application.ports import Actor, Cause
from application.projects import Projects
from projections.flows.views import FlowHeader, FlowViews

AnyRequest = Request[Any, Any, Any]

TAGGED = {"etag": True}
"""A route's ``opt`` that tells of the flow's version in its answer."""


type Several = Annotated[list[UUID], msgspec.Meta(max_length=MOST_FLOWS)]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Several flows to be created together."""

    flows: Annotated[list[NewFlow], msgspec.Meta(max_length=MOST_FLOWS)]


class FlowController(Controller):
    """Commands go to `Flows` and `Editing`, questions to the view."""

    path = "/flows"
    tags = ("Flows",)

    @post("/", status_code=201, opt=TAGGED)
    async def create(
        self,
        *,
        data: RequestBody[NewFlow],
        actor: Given[Actor],
        flows: Given[Flows],
        projects: Given[Projects],
        documents: Given[Documents],
        served: Given[Served],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Response[FlowRead]:
        """Create a flow under the name asked for, or the next one free."""
        home = await projects.home(actor, data.folder_id, cause=cause)
        new = with_emoji(data)
        done = await flows.create(actor, [new], projects=[home], cause=cause)
        await answers.settle(done.position)
        [flow] = done.result
        served.note(actor, flow.id, flow.version)
        return with_etag((await decided([flow], documents))[0], flow.version)

    @post("/batch", status_code=201)
    async def create_many(
        self,
        *,
        data: RequestBody[Batch],
        actor: Given[Actor],
        flows: Given[Flows],
        projects: Given[Projects],
        documents: Given[Documents],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> list[FlowRead]:
        """Create several flows, all or none."""
        news = list(map(with_emoji, data.flows))
        homes = {
            wanted: await projects.home(actor, wanted, cause=cause)
            for wanted in {new.folder_id for new in news}
        }
        places = [homes[new.folder_id] for new in news]
        done = await flows.create(actor, news, projects=places, cause=cause)
        await answers.settle(done.position)
        return await decided(done.result, documents)

    @post("/upload", status_code=201)
    async def upload(
        self,
        *,
        data: MultipartBody[dict[str, Any]],
        actor: Given[Actor],
        flows: Given[Flows],
        projects: Given[Projects],
        documents: Given[Documents],
        max_json: Given[int],
        cause: Given[Cause],
        answers: Given[Answers],
        folder_id: FromQuery[UUID | None] = None,
    ) -> list[FlowRead]:
        """Create the flows of a file."""
        news = flows_in(await uploaded_json(data, limit=max_json))
        home = await projects.home(actor, folder_id, cause=cause)
        done = await flows.create(
            actor, news, projects=[home] * len(news), cause=cause, imported=True
        )
        await answers.settle(done.position)
        return await decided(done.result, documents)

    @get("/")
    async def many(
        self,
        *,
        request: AnyRequest,
        actor: Given[Actor],
        flow_views: Given[FlowViews],
        projects: Given[Projects],
        whole_flows: Given[WholeFlows],
        examples: Given[Examples],
        part: Given[Part],
        folder_id: FromQuery[UUID | None] = None,
        get_all: FromQuery[bool] = True,
        header_flows: FromQuery[bool] = False,
        components_only: FromQuery[bool] = False,
        remove_example_flows: FromQuery[bool] = False,
        search: FromQuery[str] = "",
        page: FromQuery[int] = 1,
        size: FromQuery[int] = 50,
    ) -> Response[Any]:
        """List one's flows: all, their headers and examples', or a project's page."""
        owner = person(actor)
        only = True if components_only else None
        if not get_all:
            page, size = bounded_page(page, size)
            project = folder_id or await projects.first_of(owner)
            found = await flow_views.page(
                owner, project, page=page, size=size, search=search, is_component=only
            )
            return await whole_flows.page(found, page=page, size=size)
        if header_flows:
            found = await flow_views.headers(
                owner, components_only=only, limit=part.limit, offset=part.offset
            )
            # Front ends tell a newcomer by there being the examples and nothing else.
            shared = () if remove_example_flows or components_only else examples.heads
            return await gzipped(request, [*map(_head, part.told(found)), *shared])
        found = await flow_views.of_owner(
            owner, components_only=only, limit=part.limit, offset=part.offset
        )
        return await whole_flows.told(part.told(found))

    @get("/headers")
    async def heads(
        self,
        *,
        request: AnyRequest,
        actor: Given[Actor],
        flow_views: Given[FlowViews],
        part: Given[Part],
    ) -> Response[bytes]:
        """List one's flows without their documents."""
        owner = person(actor)
        found = await flow_views.headers(owner, limit=part.limit, offset=part.offset)
        return await gzipped(request, list(map(_head, part.told(found))))

    @get("/basic_examples", opt=PUBLIC)
    async def basic_examples(
        self, *, request: AnyRequest, examples: Given[Examples]
    ) -> Response[bytes]:
        """List the flows a newcomer may begin with."""
        return await packed(request, examples.listed)

    @get("/public_flow/{flow_id:str}", opt=PUBLIC | {"refuses": (403,)})
    async def public_flow(
        self,
        *,
        flow_id: FromPath[UUID],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
    ) -> FlowRead:
        """Show a flow whose owner made it public."""
        row = await flow_views.public(flow_id)
        if row is None:
            raise Refusal(403, "Flow is not public")
        return (await shown([row], documents))[0]

    @get("/{flow_id:str}", opt=TAGGED)
    async def one(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
        served: Given[Served],
    ) -> Response[FlowRead]:
        """Show a flow."""
        row = await flow_views.get(flow_id)
        if row is None or not owns(actor, row.owner):
            raise NotFoundError("flow", flow_id)
        served.note(actor, flow_id, row.version)
        return with_etag((await shown([row], documents))[0], row.version)

    @patch("/{flow_id:str}", opt=TAGGED)
    async def edit(
        self,
        *,
        request: AnyRequest,
        flow_id: FromPath[UUID],
        data: RequestBody[FlowChange],
        actor: Given[Actor],
        editing: Given[Editing],
        documents: Given[Documents],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Response[FlowRead]:
        """Save a flow: what changed is put onto what others changed meanwhile."""
        done = await editing.edit(
            actor,
            flow_id,
            data,
            expected=expected_version(request),
            cause=cause,
        )
        await answers.settle(done.position)
        return with_etag(
            (await decided([done.result], documents))[0], done.result.version
        )

    @delete("/{flow_id:str}", status_code=200)
    async def delete_one(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        flows: Given[Flows],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, str]:
        """Delete a flow with what was said and built in it."""
        done = await flows.delete(actor, [flow_id], cause=cause)
        if not done.result:
            raise NotFoundError("flow", flow_id)
        await answers.settle(done.position)
        return {"message": "Flow deleted successfully"}

    @delete("/", status_code=200)
    async def delete_many(
        self,
        *,
        data: RequestBody[Several],
        actor: Given[Actor],
        flows: Given[Flows],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> dict[str, int]:
        """Delete flows; unknown ones are passed over."""
        done = await flows.delete(actor, data, cause=cause)
        await answers.settle(done.position)
        return {"deleted": done.result}

    @post("/download", status_code=200, opt=READ)
    async def download(
        self,
        *,
        data: RequestBody[Several],
        actor: Given[Actor],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
    ) -> Response[Any]:
        """Hand out flows as files, without their secrets."""
        heads = [h for h in await flow_views.heads(data) if owns(actor, h.owner)]
        return await _files(heads, flow_views, documents)

    @get("/download")
    async def download_all(
        self,
        *,
        actor: Given[Actor],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
    ) -> Response[Any]:
        """Hand out all of one's flows as files."""
        heads = await flow_views.headers(person(actor), bare=True)
        return await _files(heads, flow_views, documents)


async def _files(
    heads: Sequence[FlowHeader], flow_views: FlowViews, documents: Documents
) -> Response[Any]:
    if not heads:
        raise Refusal(404, "No flows found.")
    if len(heads) > 1:
        return flows_as_zip(heads, flow_views, documents)
    [file] = await exported(await flow_views.many([heads[0].id]), documents)
    return Response(file)


def with_etag(flow: FlowRead, version: int) -> Response[FlowRead]:
    """Answer with the flow's version, which a later save may send back."""
    return Response(flow, headers={"ETag": f'"{version}"'})


def _head(header: FlowHeader) -> FlowHead:
    return flow_head(header, data=seen(header.document) if header.document else None)
