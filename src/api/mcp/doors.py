"""The addresses at which MCP is spoken, for everything of somebody or one project."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, Response, get, head, post
from litestar.params import FromPath, FromQuery

from api.given import Given
from api.mcp.callers import callers_of_project, no_pages
from api.mcp.talks import Talks
from api.problems import Refusal
from api.security import GUARDED_ITSELF, PUBLIC, RUN
from application.ports import Actor
from application.tools import Desk

AnyRequest = Request[Any, Any, Any]

LISTENS = "text/event-stream"


class McpController(Controller):
    """All flows of somebody that are tools."""

    path = "/mcp"
    tags = ("MCP",)

    @head("/sse", opt=PUBLIC, include_in_schema=False)
    async def look(self) -> None:
        """Say that there is a stream to open."""

    @get("/sse", media_type=LISTENS, guards=[no_pages], opt=RUN)
    async def listen(
        self, *, request: AnyRequest, actor: Given[Actor], talks: Given[Talks]
    ) -> Response[bytes]:
        """Speak MCP over server-sent events; the first one says where to post."""
        return talks.listen(Desk(actor), _endpoint(request))

    @post("/", status_code=202, guards=[no_pages], opt=RUN)
    async def tell(
        self,
        *,
        request: AnyRequest,
        actor: Given[Actor],
        talks: Given[Talks],
        session_id: FromQuery[str] = "",
    ) -> Response[bytes]:
        """Send a message to a stream of one's own, named by `session_id`."""
        _require_session(session_id)
        return talks.tell(Desk(actor), _endpoint(request))

    @post("/streamable", status_code=200, guards=[no_pages], opt=RUN)
    async def ask(self, *, actor: Given[Actor], talks: Given[Talks]) -> Response[bytes]:
        """Speak MCP over streamable HTTP, each request by itself."""
        return talks.ask(Desk(actor))


class McpProjectController(Controller):
    """The flows of one project that are tools."""

    path = "/mcp/project/{project_id:str}"
    tags = ("MCP",)

    @head("/sse", opt=PUBLIC, include_in_schema=False)
    async def look(self, *, project_id: FromPath[UUID]) -> None:
        """Say that there may be a stream to open."""

    @get(
        "/sse",
        media_type=LISTENS,
        guards=[callers_of_project],
        opt=RUN | GUARDED_ITSELF,
    )
    async def listen(
        self,
        *,
        request: AnyRequest,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        talks: Given[Talks],
    ) -> Response[bytes]:
        """Speak MCP about a project over server-sent events."""
        return talks.listen(Desk(actor, project_id), _endpoint(request))

    @post("/", status_code=202, guards=[callers_of_project], opt=RUN | GUARDED_ITSELF)
    async def tell(
        self,
        *,
        request: AnyRequest,
        project_id: FromPath[UUID],
        actor: Given[Actor],
        talks: Given[Talks],
        session_id: FromQuery[str] = "",
    ) -> Response[bytes]:
        """Send a message to a stream about a project, named by `session_id`."""
        _require_session(session_id)
        return talks.tell(Desk(actor, project_id), _endpoint(request))

    @post(
        "/streamable",
        status_code=200,
        guards=[callers_of_project],
        opt=RUN | GUARDED_ITSELF,
    )
    async def ask(
        self, *, project_id: FromPath[UUID], actor: Given[Actor], talks: Given[Talks]
    ) -> Response[bytes]:
        """Speak MCP about a project over streamable HTTP, each request by itself."""
        return talks.ask(Desk(actor, project_id))


def _require_session(session_id: str) -> None:
    if not session_id:
        raise Refusal(400, "session_id is required")


def _endpoint(request: AnyRequest) -> str:
    """Return where the messages of a stream go, from where either is asked for."""
    return request.url.path.rstrip("/").removesuffix("/sse") + "/"
