"""The plain page at ``/``: sign in, upload a flow, chat with it, watch its events."""

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from api.security import PUBLIC

TYPES = {
    "index.html": "text/html",
    "app.js": "text/javascript",
    "server.js": "text/javascript",
    "parts.js": "text/javascript",
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
}

SECURITY = {
    # Nothing inline, nothing from elsewhere, in nobody's frame: what a flow or a
    # model says is shown as text, and could not run even if it were not.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    folder = files("api") / "page"
    contents = {name: (folder / name).read_bytes() for name in TYPES}
    return {
        name: (content, f'"{sha256(content).hexdigest()[:32]}"')
        for name, content in contents.items()
    }


class PageController(Controller):
    """Serves the page's few files; everything it shows comes from the API."""

    opt = PUBLIC
    include_in_schema = False

    @get("/page/{name:str}", sync_to_thread=False)
    def asset(
        self, request: Request[Any, Any, Any], name: FromPath[str]
    ) -> Response[bytes]:
        """Serve a script, the style or the icon."""
        if name not in TYPES:
            raise NotFoundException("Not Found")
        return _answer(name, request)


class OwnPageController(Controller):
    """Serves the page where no other front end is served."""

    opt = PUBLIC
    include_in_schema = False

    @get("/", sync_to_thread=False)
    def index(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Serve the page."""
        return _answer("index.html", request)


def _answer(name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    content, etag = _files()[name]
    headers = {**SECURITY, "Cache-Control": "no-cache", "ETag": etag}
    if etag in request.headers.get("If-None-Match", ""):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    return Response(content, media_type=TYPES[name], headers=headers)
