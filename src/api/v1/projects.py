"""Projects, which clients also know as folders."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.params import FromPath, FromQuery, MultipartBody, RequestBody
from litestar.response import Stream

from api.archives import project_in, uploaded_json
from api.given import Given
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers, bounded_page
from api.v1.flow_files import flows_as_zip
from api.v1.flow_lists import WholeFlows
from api.v1.flow_shapes import (
    FlowRead,
    ProjectRead,
    project_read,
    shown,
)
from application.auth_settings import McpAuthSettings
from application.documents import Documents
from application.names import Name
from application.permissions import NotFoundError, owns, person
from application.ports import Actor, Cause
from application.projects import (
    FIRST_PROJECT,
    Description,
    FlowIds,
    ProjectChange,
    Projects,
)
from projections.flows.views import FlowViews
from projections.projects.views import ProjectRow, ProjectViews

AnyRequest = Request[Any, Any, Any]


class NewProject(msgspec.Struct, frozen=True, kw_only=True):
    """A project as clients open it, with flows to be moved into it."""

    name: Name
    description: Description | None = None
    parent_id: UUID | None = None
    components_list: FlowIds | None = None
    flows_list: FlowIds | None = None
    auth_settings: McpAuthSettings | None = None


class ProjectController(Controller):
    """Commands go to `Projects`, questions to the views."""

    path = "/projects"
    tags = ("Projects",)

    @post("/", status_code=201)
    async def open(
        self,
        *,
        data: RequestBody[NewProject],
        actor: Given[Actor],
        projects: Given[Projects],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> ProjectRead:
        """Open a project under the name asked for, or the next one free."""
        done = await projects.open(
            actor,
            data.name,
            description=data.description,
            parent=data.parent_id,
            flows=[*(data.flows_list or ()), *(data.components_list or ())],
            auth_settings=data.auth_settings,
            cause=cause,
        )
        await answers.settle(done.position)
        return project_read(done.result)

    @get("/")
    async def many(
        self,
        *,
        actor: Given[Actor],
        project_views: Given[ProjectViews],
        part: Given[Part],
    ) -> list[ProjectRead]:
        """List one's projects, the first one first."""
        rows = await project_views.of(
            person(actor), first=FIRST_PROJECT, limit=part.limit, offset=part.offset
        )
        return list(map(project_read, part.told(rows)))

    @get("/{project_id:str}")
    async def one(
        self,
        *,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        project_views: Given[ProjectViews],
        flow_views: Given[FlowViews],
        whole_flows: Given[WholeFlows],
        part: Given[Part],
        page: FromQuery[int | None] = None,
        size: FromQuery[int | None] = None,
        is_component: FromQuery[bool] = False,
        is_flow: FromQuery[bool] = False,
        search: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show a project with its flows: all, or a page of those that match."""
        row = await _mine(actor, project_id, project_views)
        project = msgspec.to_builtins(project_read(row))
        if page is None and size is None:
            rows = await flow_views.of_owner(
                row.owner, project=row.id, limit=part.limit, offset=part.offset
            )
            return await whole_flows.told(
                part.told(rows), around=lambda flows: project | {"flows": flows}
            )
        page, size = bounded_page(page or 1, size or 50)
        rows = await flow_views.page(
            row.owner,
            row.id,
            page=page,
            size=size,
            search=search,
            is_component=_only(is_component=is_component, is_flow=is_flow),
        )
        return await whole_flows.page(
            rows,
            page=page,
            size=size,
            around=lambda flows: {"folder": project, "flows": flows},
        )

    @patch("/{project_id:str}")
    async def change(
        self,
        *,
        project_id: FromPath[UUID],
        data: RequestBody[ProjectChange],
        actor: Given[Actor],
        projects: Given[Projects],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> ProjectRead:
        """Rename a project, or say which flows lie in it; and who calls its tools."""
        done = await projects.change(actor, project_id, data, cause=cause)
        await answers.settle(done.position)
        return project_read(done.result)

    @delete("/{project_id:str}", status_code=204)
    async def remove(
        self,
        *,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        projects: Given[Projects],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> None:
        """Delete a project with its flows."""
        done = await projects.delete(actor, project_id, cause=cause)
        await answers.settle(done.position)

    @get("/download/{project_id:str}")
    async def download(
        self,
        *,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        project_views: Given[ProjectViews],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
    ) -> Stream:
        """Hand out a project's flows as one file, without their secrets."""
        return await _packed(actor, project_id, project_views, flow_views, documents)

    @post("/upload", status_code=201)
    async def upload(
        self,
        *,
        data: MultipartBody[dict[str, Any]],
        actor: Given[Actor],
        projects: Given[Projects],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
        max_json: Given[int],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> list[FlowRead]:
        """Open a project with the flows of a file."""
        file = project_in(await uploaded_json(data, limit=max_json))
        done = await projects.open(
            actor,
            file.name,
            description=file.description,
            bring=file.flows,
            cause=cause,
        )
        await answers.settle(done.position)
        heads = await flow_views.of_owner(person(actor), project=done.result.id)
        return await shown(await flow_views.many([one.id for one in heads]), documents)


class FolderController(ProjectController):
    """The same under the name that older clients use."""

    path = "/folders"
    tags = ("Folders",)

    @get("/download")
    async def download_first(
        self,
        *,
        actor: Given[Actor],
        projects: Given[Projects],
        project_views: Given[ProjectViews],
        flow_views: Given[FlowViews],
        documents: Given[Documents],
        folder_id: FromQuery[UUID | None] = None,
    ) -> Stream:
        """Hand out the flows of the project that is asked for, else of the first."""
        wanted = folder_id or await projects.first_of(person(actor))
        return await _packed(actor, wanted, project_views, flow_views, documents)


async def _packed(
    actor: Actor,
    project_id: UUID | None,
    views: ProjectViews,
    flow_views: FlowViews,
    documents: Documents,
) -> Stream:
    row = await _mine(actor, project_id, views)
    heads = await flow_views.headers(row.owner, project=row.id, bare=True)
    if not heads:
        raise Refusal(404, "404: No flows found in project")  # as clients know it
    return flows_as_zip(heads, flow_views, documents, project=row.name)


async def _mine(
    actor: Actor, project_id: UUID | None, views: ProjectViews
) -> ProjectRow:
    row = await views.get(project_id) if project_id else None
    if row is None or not owns(actor, row.owner):
        raise NotFoundError("project", project_id)
    return row


def _only(*, is_component: bool, is_flow: bool) -> bool | None:
    """Return which kind is asked for; both or neither mean either."""
    return None if is_component == is_flow else is_component
