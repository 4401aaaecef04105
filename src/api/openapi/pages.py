"""The page at ``/docs`` and the document that it shows, both open to all."""

from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from litestar import Controller, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from api.given import Given
from api.openapi.document import encoded
from api.security import PUBLIC
from api.zipping import packed

AnyRequest = Request[Any, Any, Any]

JSON: Final = "application/json"
TYPES: Final = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
OURS: Final = ("docs.html", "docs.js")
SWAGGER: Final = ("swagger-ui-bundle.js", "swagger-ui.css")
"""Of Swagger UI (Apache-2.0), which the wheel of swagger-ui-py carries."""

POLICY: Final = (
    # Swagger UI sets styles on its elements and has its icons in its style sheet.
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class Asset(NamedTuple):
    """One file of the page, and what tells whether a browser has it."""

    content: bytes
    kind: str
    etag: str


class DocsController(Controller):
    """Serves the document and the few files that show it; nothing from elsewhere."""

    opt = PUBLIC
    include_in_schema = False

    def __init__(self, owner: object) -> None:
        super().__init__(owner)  # type: ignore[arg-type]  # Litestar's own Router
        self._assets: dict[str, Asset] = {}

    @get("/openapi.json")
    async def document(
        self, request: AnyRequest, show_docs: Given[bool]
    ) -> Response[bytes]:
        """Serve the OpenAPI document."""
        _require(shown=show_docs)
        return await packed(request, encoded(request.app))

    @get("/docs", sync_to_thread=False)
    def page(self, request: AnyRequest, show_docs: Given[bool]) -> Response[bytes]:
        """Serve the page."""
        return self._asset("docs.html", request, shown=show_docs)

    @get("/docs/{name:str}", sync_to_thread=True)
    def asset(
        self, request: AnyRequest, name: FromPath[str], show_docs: Given[bool]
    ) -> Response[bytes]:
        """Serve a script or a style."""
        return self._asset(name, request, shown=show_docs)

    def _asset(self, name: str, request: AnyRequest, *, shown: bool) -> Response[bytes]:
        _require(shown=shown)
        if not self._assets:
            self._assets = dict(_read())
        asset = self._assets.get(name)
        if asset is None:
            raise NotFoundException("Not Found")
        headers = {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-cache",
            "ETag": asset.etag,
        }
        if asset.etag in request.headers.get("If-None-Match", ""):
            return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
        return Response(asset.content, media_type=asset.kind, headers=headers)


def _require(*, shown: bool) -> None:
    if not shown:
        raise NotFoundException("Not Found")


def _read() -> Iterator[tuple[str, Asset]]:
    ours = files("api.openapi") / "page"
    for name in OURS:
        yield name, _asset_of(name, (ours / name).read_bytes())
    static = _swagger() / "static"
    for name in SWAGGER:
        yield name, _asset_of(name, (static / name).read_bytes())


def _swagger() -> Path:
    # Not imported: of that package we want two files, not its code.
    found = find_spec("swagger_ui")
    if found is None or not found.submodule_search_locations:
        raise NotFoundException("Swagger UI is not installed")
    return Path(found.submodule_search_locations[0])


def _asset_of(name: str, content: bytes) -> Asset:
    digest = sha256(content).hexdigest()[:32]
    return Asset(content, TYPES[Path(name).suffix], f'"{digest}"')
