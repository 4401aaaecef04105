"""What the matrix of who may do what must be told about a route, and why."""

from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

OPEN: Final = {
    "GET /": "the page at which people sign in",
    "GET /page/{}": "its scripts, style and icon",
    "GET /docs": "the page that describes the API; our code is open, too",
    "GET /docs/{}": "its scripts and style",
    "GET /openapi.json": "what it shows",
    "GET /openapi": "Litestar's own address of it, which says 404",
    "GET /openapi/{}": "as above",
    "GET /openapi/openapi.json": "what it shows",
    "GET /health": "load balancers ask it, and know nobody's key",
    "GET /health_check": "the front end polls it before anybody has signed in",
    "GET /livez": "who starts processes anew asks it",
    "GET /readyz": "load balancers ask it",
    "POST /api/v1/login": "here people show who they are",
    "POST /api/v1/login/link": "the link shows it",
    "GET /api/v1/auto_login": "the operator may let in anybody at this machine",
    "GET /api/v1/login/auto": "another name of /auto_login",
    "POST /api/v1/login/refresh": "another name of /refresh",
    "POST /api/v1/refresh": "the refresh token in the cookie shows it",
    "POST /api/v1/logout": "whoever is signed out may say so again",
    "GET /api/v1/version": "the front end asks it before anybody has signed in",
    "GET /api/v1/config": "the front end asks it before anybody has signed in",
    "GET /api/v1/store/check": "the front end asks it before anybody has signed in",
    "GET /api/v1/store/tags": "the front end asks it before anybody has signed in",
    "GET /api/v1/files/profile_pictures/list": "our own pictures, nobody's files",
    "GET /api/v1/files/profile_pictures/{}/{}": "our own pictures, nobody's files",
    "GET /api/v1/flows/basic_examples": "our own examples, nobody's flows",
    "GET /api/v1/flows/public_flow/{}": "flows whose owners made them public",
    "POST /api/v1/users": "people sign up",
    "POST /api/v1/build_public_tmp/{}/flow": "flows whose owners made them public",
    "HEAD /api/v1/mcp/sse": "says nothing; clients look before they listen",
    "HEAD /api/v1/mcp/project/{}/sse": "says nothing, of whatever project",
    "HEAD /api/mcp/sse": "the same at its second address",
    "HEAD /api/mcp/project/{}/sse": "the same at its second address",
}
"""What anybody may ask, and why; whatever else there is needs a credential."""

BELONGINGS: Final = {
    "file_id": "file",
    "file_name": "file_name",
    "flow_id": "flow",
    "flow_id_or_name": "flow",
    "project_id": "project",
    "folder_id": "project",
    "variable_id": "variable",
    "key_id": "key",
    "user_id": "user",
    "job_id": "run",
    "run_id": "run",
    "message_id": "message",
    "session": "session",
    "stream_id": "flow",
    "model": "flow",
    "response_id": "run",
}
"""Which field of ``Belongings`` each parameter that names something stands for."""

# One a line, so that two people who add one do not meet.
PLAIN: Final = {
    # Of a store on another server, which decides by the person's own key there.
    *("component_id", "filter_by_user", "liked", "private", "sort", "tags"),
    "action_count",
    "actor",
    "after",
    "at",
    "command",
    "components_only",
    "correlation",
    "event_delivery",
    "folder",
    "get_all",
    "header_flows",
    "is_component",
    "is_flow",
    "limit",
    "timestamp",
    "lines_after",
    "lines_before",
    "log",
    "mcp_enabled",
    "name",
    "new_session_id",
    "offset",
    "order",
    "order_by",
    "page",
    "path",
    "position",
    "projection",
    "remove_example_flows",
    "return_content",
    "search",
    "sender",
    "sender_name",
    "server_name",  # one of one's own
    "session_id",
    "since",
    "size",
    "skip",
    "start_component_id",
    "starting_after",
    "stop_component_id",
    "stream",
    "tag",
    "until",
    "version",
    "task_id",
    "vertex_id",
}
"""
Parameters that name nobody's belongings, or only within what is one's own; or that
superusers alone may ask, about anybody.
"""

BODIES: Final[dict[str, Callable[[str], Any]]] = {
    "PATCH /api/v1/variables/{}": lambda one: {"id": one, "value": "y"},
    "PATCH /api/v1/flows/{}": lambda _: {"name": "taken over"},
    "POST /api/v1/mcp/project/{}/install": lambda _: {"client": "cursor"},
    "POST /api/mcp/project/{}/install": lambda _: {"client": "cursor"},
    "PATCH /api/v1/mcp/project/{}": lambda _: {"settings": [], "auth_settings": None},
    "PATCH /api/mcp/project/{}": lambda _: {"settings": [], "auth_settings": None},
    "PATCH /api/v1/projects/{}": lambda _: {"name": "taken over"},
    "PATCH /api/v1/folders/{}": lambda _: {"name": "taken over"},
    "PATCH /api/v1/users/{}": lambda _: {"username": f"taken-{uuid4().hex}"},
    "PATCH /api/v1/users/{}/reset-password": lambda _: {"password": "mine now"},
    "PUT /api/v1/monitor/messages/{}": lambda _: {"text": "never said"},
}
"""
Bodies that would do harm to the thing of that id, if they were let.

Without one, the example of the OpenAPI document is sent; without that, ``{}``.
"""

QUERIES: Final[dict[str, str]] = {
    "PATCH /api/v1/monitor/messages/session/{}": "new_session_id=x",
    "PUT /api/v2/files/{}": "name=x",
}
"""What a route must be asked besides, to get as far as whose a thing is."""

OTHERWISE: Final[dict[str, tuple[int, str]]] = {
    "POST /api/v1/process/{}": (400, "it is gone for everybody's flows"),
    "POST /api/v1/predict/{}": (400, "it is gone for everybody's flows"),
    "POST /api/v1/build/{}/vertices": (500, "clients know unknown ids as 500"),
    "POST /api/v1/build/{}/vertices/{}": (500, "clients know unknown ids as 500"),
    "DELETE /api/v1/api_key/{}": (400, "clients know an unknown key as 400"),
    "DELETE /api/v1/variables/{}": (500, "clients know an unknown variable as 500"),
    "PATCH /api/v1/users/{}": (403, "people are not secret to their superusers"),
    "PATCH /api/v1/users/{}/reset-password": (400, "clients know it as 400"),
    "DELETE /api/v1/users/{}": (403, "superusers alone erase people"),
    "DELETE /api/v1/monitor/messages/session/{}": (
        204,
        "a session name may be anybody's; of one's own nothing was left",
    ),
}
"""Answers to somebody else's id other than 404, each the same as to nobody's id."""

ONLY_SUPERUSERS: Final[dict[str, str]] = {
    "DELETE /api/v1/users/{}": "decided by the use case, which refuses oneself first",
}
"""What only superusers may do although no guard says so; 403 to everybody else."""

UNASKED: Final[dict[str, str]] = {}
"""Routes that the matrix does not call for a foreign owner, and what does instead."""

SOCKETS: Final[dict[str, str]] = {
    "/api/v1/chat/{}": "test_chat: another_ones_flows_and_runs_are_not_there",
    "/api/v1/voice/ws/flow_tts/{}": "test_voice: another_ones_flow_cannot_be_talked_to",
    "/api/v1/voice/ws/flow_tts/{}/{}": "the same",
    "/api/v1/voice/ws/flow_as_tool/{}": "the same",
    "/api/v1/voice/ws/flow_as_tool/{}/{}": "the same",
}
"""Every WebSocket route by its path, and which of its tests tries foreign ids."""

HELP: Final = """
The matrix of who may do what does not know this. In tests/attacks/matrix.py:
- a route that is open to all: a line in OPEN, with the reason;
- a path or query parameter: in BELONGINGS if it names something that is somebody's
  (a new kind of thing: a field in tests/attacks/belongings.py that makes Ada's), else
  in PLAIN;
- a body that the route would take: give it an example in the OpenAPI document, or a
  line in BODIES; what it must be asked besides: QUERIES;
- another answer than 404 to somebody else's id: a line in OTHERWISE, with the reason;
- a WebSocket route: a line in SOCKETS, naming the test that tries foreign ids.
"""
