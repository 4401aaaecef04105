"""Files of flows: uploaded from the chat, shown in it, and deleted."""

import contextlib
from typing import Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.di import Provide
from litestar.params import FromPath

from api.file_answers import handed_out
from api.given import Given
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers, streamed_cause_of
from api.security import UPLOAD
from api.uploads import UploadOperation, take_in
from application.files import Files
from application.permissions import NotFoundError, Permissions
from application.ports import Actor, Cause, ContentMissingError
from application.uploads import Uploads
from domain.file.file import File
from projections.files.views import FileViews

AnyRequest = Request[Any, Any, Any]


class Uploaded(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an uploaded file lies."""

    flow_id: str
    file_path: str = msgspec.field(name="file_path")


class FileNames(msgspec.Struct, frozen=True):
    """The names of files."""

    files: list[str]


class Told(msgspec.Struct, frozen=True):
    """What a command came to, in words."""

    message: str


async def uploaded(
    request: AnyRequest,
    flow_id: UUID,
    actor: Actor,
    uploads: Uploads,
    *,
    permissions: Permissions,
    largest: int,
    cause: Cause,
    answers: Answers,
) -> Uploaded:
    """Take in the file of a form, for a flow."""
    await permissions.require(actor, "flow", flow_id)  # before any byte has come
    done = await take_in(
        request,
        uploads,
        actor,
        largest=largest,
        missing=Refusal(422, "The form has no file"),
        flow=flow_id,
        cause=cause,
    )
    await answers.settle(done.position)
    return Uploaded(flow_id=str(flow_id), file_path=done.result.path)


class FileController(Controller):
    """Commands go to `Files`; lists come from the view."""

    path = "/files"
    tags = ("Files",)

    @post(
        "/upload/{flow_id:str}",
        status_code=201,
        opt=UPLOAD,
        request_max_body_size=None,
        dependencies={"cause": Provide(streamed_cause_of, sync_to_thread=False)},
        operation_class=UploadOperation,
    )
    async def upload(
        self,
        *,
        request: AnyRequest,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        uploads: Given[Uploads],
        permissions: Given[Permissions],
        largest_file: Given[int],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Uploaded:
        """Upload a file to a flow, in a form field called ``file``."""
        return await uploaded(
            request,
            flow_id,
            actor,
            uploads,
            permissions=permissions,
            largest=largest_file,
            cause=cause,
            answers=answers,
        )

    @get("/download/{flow_id:str}/{file_name:str}")
    async def download(
        self,
        *,
        request: AnyRequest,
        flow_id: FromPath[UUID],
        file_name: FromPath[str],
        actor: Given[Actor],
        files: Given[Files],
    ) -> Response[Any]:
        """Download a file of a flow, or a part of it by ``Range``."""
        return await handed_out(
            request, files, await _file(files, actor, flow_id, file_name)
        )

    @get("/images/{flow_id:str}/{file_name:str}")
    async def image(
        self,
        *,
        request: AnyRequest,
        flow_id: FromPath[UUID],
        file_name: FromPath[str],
        actor: Given[Actor],
        files: Given[Files],
    ) -> Response[Any]:
        """Show an image of a flow; a page of ours needs nothing but its cookie."""
        file = await _file(files, actor, flow_id, file_name)
        if not file.media_type.startswith("image/"):
            raise Refusal(400, f"Content type {file.media_type} is not an image")
        return await handed_out(request, files, file, inline=True)

    @get("/list/{flow_id:str}")
    async def many(
        self,
        *,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        permissions: Given[Permissions],
        file_views: Given[FileViews],
        part: Given[Part],
    ) -> FileNames:
        """List the files of a flow."""
        owned = await permissions.require(actor, "flow", flow_id)
        rows = await file_views.of_flow(
            owned.owner, flow_id, limit=part.limit, offset=part.offset
        )
        return FileNames([row.name for row in part.told(rows)])

    @delete("/delete/{flow_id:str}/{file_name:str}", status_code=200)
    async def delete_one(
        self,
        *,
        flow_id: FromPath[UUID],
        file_name: FromPath[str],
        actor: Given[Actor],
        permissions: Given[Permissions],
        files: Given[Files],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Told:
        """Delete a file of a flow; that there is none by that name is no mistake."""
        await permissions.require(actor, "flow", flow_id)
        with contextlib.suppress(NotFoundError):
            done = await files.delete_at(actor, f"{flow_id}/{file_name}", cause=cause)
            await answers.settle(done.position)
        return Told(f"File {file_name} deleted successfully")


class UploadController(Controller):
    """The address that uploads had once."""

    path = "/upload"
    tags = ("Files",)

    @post(
        "/{flow_id:str}",
        status_code=201,
        opt=UPLOAD,
        request_max_body_size=None,
        dependencies={"cause": Provide(streamed_cause_of, sync_to_thread=False)},
        operation_class=UploadOperation,
        deprecated=True,
    )
    async def upload(
        self,
        *,
        request: AnyRequest,
        flow_id: FromPath[UUID],
        actor: Given[Actor],
        uploads: Given[Uploads],
        permissions: Given[Permissions],
        largest_file: Given[int],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Uploaded:
        """Upload a file to a flow; deprecated, use ``/files/upload``."""
        return await uploaded(
            request,
            flow_id,
            actor,
            uploads,
            permissions=permissions,
            largest=largest_file,
            cause=cause,
            answers=answers,
        )


async def _file(files: Files, actor: Actor, flow_id: UUID, name: str) -> File:
    try:
        return await files.at(actor, f"{flow_id}/{name}")
    except (NotFoundError, ContentMissingError):
        raise NotFoundError("file", name) from None
