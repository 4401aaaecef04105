"""Another front end that the operator built: its files, and its page for every view."""

import asyncio
import gzip
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec
from litestar import Controller, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import File
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from api.given import Given
from api.security import PUBLIC
from api.zipping import LEVEL, SMALL, accepts_gzip

AnyRequest = Request[Any, Any, Any]

INDEX: Final = "index.html"
MOST_FILES: Final = 20_000
MOST_PACKED: Final = 32 * 1024 * 1024
"""Bytes of packed files that are kept in memory."""

TEXTS: Final = ("text/", "application/javascript", "application/json", "image/svg")
UNCHANGING: Final = "assets/"
"""The folder of files that bundlers name by their contents."""

SECURITY: Final = {
    # A front end brings its own inline styles, workers and web fonts; scripts come
    # from its own files, and what it sends goes to this server.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; "
        "style-src 'self' 'unsafe-inline' https://fonts.googleapis.com; "
        "font-src 'self' data: https://fonts.gstatic.com; "
        "img-src 'self' data: blob: https:; media-src 'self' data: blob:; "
        "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class FrontEndFile(msgspec.Struct, frozen=True):
    """A file as it was when the server started."""

    path: Path
    media_type: str
    etag: str
    size: int


class FrontEnd:
    """
    The files of a built front end, found once at the start.

    Only names found then are served, so no address reaches another file.
    """

    def __init__(self, files: dict[str, FrontEndFile]) -> None:
        self._files = files
        self._packed: dict[str, bytes] = {}
        self._packed_bytes = 0

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Find the files under *folder*, of which `INDEX` is the page."""
        return cls(dict(_found(folder)))

    def find(self, name: str) -> FrontEndFile | None:
        """Return the file called *name*, such as ``assets/index.js``."""
        return self._files.get(name)

    async def packed(self, name: str, file: FrontEndFile) -> bytes | None:
        """Return *file* in gzip if that is worth it; it is packed once."""
        if file.size < SMALL or not file.media_type.startswith(TEXTS):
            return None
        if name not in self._packed:
            data = await asyncio.to_thread(_pack, file.path)
            if self._packed_bytes + len(data) > MOST_PACKED:
                return data
            self._packed_bytes += len(data)
            self._packed[name] = data
        return self._packed[name]


class FrontEndController(Controller):
    """Serves the files by their names, and the page for the addresses of its views."""

    opt = PUBLIC
    include_in_schema = False

    @get("/")
    async def index(
        self, *, request: AnyRequest, front_end: Given[FrontEnd]
    ) -> Response[Any]:
        """Serve the page."""
        return await _answer(request, front_end, INDEX)

    @get("/{name:path}")
    async def file(
        self, *, request: AnyRequest, name: FromPath[str], front_end: Given[FrontEnd]
    ) -> Response[Any]:
        """Serve a file, or to a browser that looks for a view, the page."""
        known = name.lstrip("/")
        if front_end.find(known) is not None:
            return await _answer(request, front_end, known)
        if "text/html" not in request.headers.get("accept", ""):
            raise NotFoundException("Not Found")
        return await _answer(request, front_end, INDEX)


async def _answer(request: AnyRequest, front_end: FrontEnd, name: str) -> Response[Any]:
    file = front_end.find(name)
    if file is None:
        raise NotFoundException("Not Found")
    keeps = name.startswith(UNCHANGING)
    headers = {
        **SECURITY,
        "Cache-Control": "public, max-age=31536000, immutable" if keeps else "no-cache",
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
    }
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    if accepts_gzip(request):
        packed = await front_end.packed(name, file)
        if packed is not None:
            headers["Content-Encoding"] = "gzip"
            return Response(packed, media_type=file.media_type, headers=headers)
    return File(
        file.path,
        media_type=file.media_type,
        headers=headers,
        content_disposition_type="inline",
    )


def _found(folder: Path) -> Iterator[tuple[str, FrontEndFile]]:
    """Find plain files, no links: a link may lead anywhere."""
    seen = 0
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_symlink() or not path.is_file():
                continue
            seen += 1
            if seen > MOST_FILES:
                return
            media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            known = path.stat()
            yield (
                path.relative_to(folder).as_posix(),
                FrontEndFile(
                    path,
                    media_type,
                    f'"{known.st_mtime_ns:x}-{known.st_size:x}"',
                    known.st_size,
                ),
            )


def _pack(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), LEVEL, mtime=0)
