"""Files on their way out: in pieces, and so that no browser runs what is in them."""

import re
from typing import Any, Final
from urllib.parse import quote

from litestar import Request, Response
from litestar.response import Stream

from api.problems import Refusal
from application.files import Files
from domain.file.file import File
from domain.file.names import OCTETS

AnyRequest = Request[Any, Any, Any]

SANDBOX: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""What a page may do that somebody uploaded: be looked at."""
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def disposition(name: str, *, inline: bool = False) -> str:
    """Return the header that gives a file its name, in ASCII and in full."""
    kind = "inline" if inline else "attachment"
    plain = re.sub(r'[^ -~]|["\\]', "_", name)
    full = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{full}'


async def handed_out(
    request: AnyRequest, files: Files, file: File, *, inline: bool = False
) -> Response[Any]:
    """Answer with a file, or with the part of it that was asked for."""
    etag = f'"{file.id}"'  # its bytes never change
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition(file.shown_name, inline=inline),
        "Content-Security-Policy": SANDBOX,
        "X-Content-Type-Options": "nosniff",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(None, status_code=304, headers=headers)
    size = file.content.size
    start, end = _part(request, size)
    opened = await files.open(file, start=start, end=end)
    status = 200
    if (start, end) != (0, size):
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Stream(
        opened.chunks,
        media_type=file.media_type if inline else OCTETS,
        status_code=status,
        headers=headers | {"Content-Length": str(end - start)},
    )


def _part(request: AnyRequest, size: int) -> tuple[int, int]:
    """Return where what was asked for begins and ends; what is no range is all."""
    asked = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if asked is None or asked[0] == "bytes=-" or "if-range" in request.headers:
        return 0, size
    if not asked[1]:
        start, end = max(size - int(asked[2]), 0), size
    else:
        start = int(asked[1])
        end = min(int(asked[2]) + 1, size) if asked[2] else size
    if start >= end:
        raise Refusal(
            416, "There is no such part", {"Content-Range": f"bytes */{size}"}
        )
    return start, end
