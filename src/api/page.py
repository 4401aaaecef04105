"""The plain page at ``/``: sign in, upload a flow, chat with it, watch its events."""

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


def _read() -> dict[str, tuple[bytes, str]]:
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

    def __init__(self, owner: object) -> None:
        super().__init__(owner)  # type: ignore[arg-type]  # Litestar's own Router
        self._files = _read()

    @get("/", sync_to_thread=False)
    def index(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Serve the page."""
        return self._answer("index.html", request)

    @get("/page/{name:str}", sync_to_thread=False)
    def asset(
        self, request: Request[Any, Any, Any], name: FromPath[str]
    ) -> Response[bytes]:
        """Serve a script, the style or the icon."""
        if name not in TYPES:
            raise NotFoundException("Not Found")
        return self._answer(name, request)

    def _answer(self, name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        content, etag = self._files[name]
        headers = {**SECURITY, "Cache-Control": "no-cache", "ETag": etag}
        if etag in request.headers.get("If-None-Match", ""):
            return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
        return Response(content, media_type=TYPES[name], headers=headers)
