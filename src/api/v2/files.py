"""Files of one's own: uploaded, listed, renamed, downloaded one by one or together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import Provide
from litestar.params import FromPath, FromQuery, RequestBody
from litestar.response import Stream

from api.archives import ZIP
from api.file_answers import disposition, handed_out
from api.given import Given
from api.lists import Part
from api.problems import Refusal
from api.requests import Answers, streamed_cause_of
from api.security import READ, UPLOAD
from api.uploads import UploadOperation, take_in
from api.v1.files import Told
from api.v1.users import naive
from api.zip_stream import Member, unlike, zipped
from application.files import Files
from application.names import Name
from application.permissions import person
from application.ports import Actor, Cause
from application.uploads import Uploads
from domain.file.file import File
from projections.files.views import FileRow, FileViews

AnyRequest = Request[Any, Any, Any]

Ids = Annotated[list[UUID], msgspec.Meta(max_length=1_000)]


class FileHead(msgspec.Struct, frozen=True, kw_only=True):
    """A file as its upload is answered; ``name`` is without the ending."""

    id: UUID
    name: str
    path: str
    size: int
    provider: str | None = None


class FileRead(msgspec.Struct, frozen=True, kw_only=True):
    """A file as lists show it."""

    id: UUID
    user_id: UUID
    name: str
    path: str
    size: int
    provider: str | None
    created_at: str
    updated_at: str


class Detail(msgspec.Struct, frozen=True):
    """What a command came to, in words."""

    detail: str


class UserFileController(Controller):
    """Commands go to `Files`, questions to the view."""

    path = "/files"
    tags = ("Files",)

    @post(
        ["/", "/upload"],
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
        actor: Given[Actor],
        uploads: Given[Uploads],
        largest_file: Given[int],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> FileHead:
        """Upload a file, in a form field called ``file``."""
        done = await take_in(
            request,
            uploads,
            actor,
            largest=largest_file,
            missing=Refusal(400, "No file provided"),
            cause=cause,
        )
        await answers.settle(done.position)
        return _head(done.result)

    @get(["/", "/list"])
    async def many(
        self, *, actor: Given[Actor], file_views: Given[FileViews], part: Given[Part]
    ) -> list[FileRead]:
        """List one's files."""
        owner = person(actor)
        rows = await file_views.of_user(owner, limit=part.limit, offset=part.offset)
        return list(map(_read, part.told(rows)))

    @delete("/", status_code=200)
    async def delete_all(
        self,
        *,
        actor: Given[Actor],
        files: Given[Files],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Told:
        """Delete all of one's files."""
        done = await files.delete_all(actor, cause=cause)
        await answers.settle(done.position)
        return Told("All files deleted successfully")

    @post("/batch", status_code=200, opt=READ)
    async def download_many(
        self,
        *,
        data: RequestBody[Ids],
        actor: Given[Actor],
        files: Given[Files],
        file_views: Given[FileViews],
    ) -> Response[Any]:
        """Download several files as one zip, packed while it is sent."""
        rows = await file_views.of_ids(person(actor), data)
        if not rows:
            raise Refusal(404, "No files found")
        name = f"{datetime.now(UTC):%Y%m%d_%H%M%S}_langbuilder_files.zip"
        return Stream(
            zipped(_members(files, actor, rows)),
            media_type=ZIP,
            headers={"Content-Disposition": disposition(name)},
        )

    @delete("/batch", status_code=200)
    async def delete_many(
        self,
        *,
        data: RequestBody[Ids],
        actor: Given[Actor],
        files: Given[Files],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Told:
        """Delete several files; unknown ones are passed over."""
        done = await files.delete(actor, data, cause=cause)
        if not done.result:
            raise Refusal(404, "No files found")
        await answers.settle(done.position)
        return Told(f"{len(done.result)} files deleted successfully")

    @get("/{file_id:str}")
    async def one(
        self,
        *,
        request: AnyRequest,
        file_id: FromPath[UUID],
        actor: Given[Actor],
        files: Given[Files],
        max_json: Given[int],
        return_content: FromQuery[bool] = False,
    ) -> Response[Any]:
        """Download a file, or a part of it by ``Range``; or its text as JSON."""
        file = await files.get(actor, file_id)
        if not return_content:
            return await handed_out(request, files, file)
        text = await _text(files, file, max_json)
        return Response(msgspec.json.encode(text), media_type="application/json")

    @put("/{file_id:str}")
    async def rename(
        self,
        *,
        file_id: FromPath[UUID],
        name: FromQuery[Name],
        actor: Given[Actor],
        files: Given[Files],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> FileHead:
        """Show a file under another name; flows go on to know it by its path."""
        done = await files.rename(actor, file_id, name, cause=cause)
        await answers.settle(done.position)
        return _head(done.result)

    @delete("/{file_id:str}", status_code=200)
    async def delete_one(
        self,
        *,
        file_id: FromPath[UUID],
        actor: Given[Actor],
        files: Given[Files],
        cause: Given[Cause],
        answers: Given[Answers],
    ) -> Detail:
        """Delete a file."""
        done = await files.delete(actor, [file_id], cause=cause)
        if not done.result:
            raise Refusal(404, "File not found")
        await answers.settle(done.position)
        return Detail(f"File {done.result[0].title} deleted successfully")


async def _members(
    files: Files, actor: Actor, rows: Sequence[FileRow]
) -> AsyncIterator[Member]:
    shown = unlike(row.shown_name for row in rows)
    for row, name in zip(rows, shown, strict=True):
        opened = await files.open(await files.get(actor, row.id))
        yield Member(name, opened.size, opened.chunks)


async def _text(files: Files, file: File, most: int) -> str:
    if file.content.size > most:
        raise Refusal(413, "The file is too large to be read as text")
    opened = await files.open(file)
    async with aclosing(opened.chunks) as chunks:
        data = b"".join([chunk async for chunk in chunks])
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Refusal(422, "The file is no text in UTF-8") from None


def _head(file: File) -> FileHead:
    return FileHead(id=file.id, name=file.title, path=file.path, size=file.content.size)


def _read(row: FileRow) -> FileRead:
    return FileRead(
        id=row.id,
        user_id=row.owner,
        name=row.title,
        path=row.path,
        size=row.size,
        provider=None,
        created_at=naive(row.created_at),
        updated_at=naive(row.updated_at),
    )
