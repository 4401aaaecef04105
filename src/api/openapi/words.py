"""What the OpenAPI document says that no handler can: tags, headers, refusals."""

from typing import Any, Final

from api.security import ACCESS, KEY, REFRESH

INTRODUCED: Final = """\
LangBuilder's API, kept as events: every edit and every step of every run is recorded.

Send `Authorization: Bearer <token>` (from `POST /api/v1/login`) or `x-api-key: <key>`.
What is somebody else's answers 404, as if it were not there. Each path works with and
without a slash at its end, and never redirects. A refusal is `{"detail": …}`: a
sentence, an object that clients read, or for a 422 a list of what is wrong where.

A command answers once its effect can be read, 200 ms later at most, and tells in
`X-Position` where in the log its events lie; send that as `X-Min-Position` to have a
query wait for it. With an `Idempotency-Key` a command that is sent twice takes effect
once, and answers alike.
"""

TAGS: Final[dict[str, str]] = {
    "System": "Health, version, configuration.",
    "Login": "Signing in, renewing, signing out.",
    "Users": "People: joining, profiles, passwords, erasure.",
    "API keys": "Keys for programs: shown once, kept as hashes.",
    "Projects": "Where flows lie.",
    "Folders": "Projects under the name that older clients use.",
    "Flows": "Graphs of components: saved, listed, brought in and out.",
    "Files": "What people upload, for their flows to read.",
    "Variables": "Values and secrets that flows name instead of holding them.",
    "Monitor": "What runs left: messages, vertex builds, transactions.",
    "MCP": "Flows as tools of MCP clients, and the servers that flows may ask.",
    "OpenAI": "Flows where programs expect OpenAI's models.",
    "Publish": "Flows in OpenWebUI.",
    "Chat": "Chatting over one socket.",
    "Voice": "Talking to flows.",
    "Components": "The built-in components, and checks of code and templates.",
    "Store": "The component store.",
    "Runs": "Running flows, and following what happens.",
    "Webhooks": "Flows that other systems deliver to, and who may.",
    "Deprecated": "What clients of old call, and what to call instead.",
    "Events": "The log itself, for superusers.",
    "Projections": "The read tables and how they stand, for superusers.",
}
"""What each tag gathers. A new tag needs a line here."""

NOT_SIGNED_IN: Final = {"detail": "Could not validate credentials"}

REFUSALS: Final[dict[int, tuple[str, str, dict[str, Any]]]] = {
    400: ("Refused", "Understood, and refused", {"detail": "Name must be unique"}),
    401: ("NotSignedIn", "No credential that is any good", NOT_SIGNED_IN),
    403: (
        "Forbidden",
        "No credential, an unknown key, or not for people of this role",
        {"detail": "An API key must be passed as query or header"},
    ),
    404: ("NotFound", "Not there, or somebody else's", {"detail": "Flow not found"}),
    408: ("TooSlow", "Too little came", {"detail": "The file came too slowly"}),
    409: (
        "Conflict",
        "Contradicts what happened meanwhile",
        {"detail": "Somebody changed this in the meantime"},
    ),
    413: ("TooLarge", "More than this server takes", {"detail": "Too large"}),
    415: ("Unwanted", "Of a kind that is not taken in", {"detail": "Not taken in"}),
    422: (
        "Unprocessable",
        "Not of the shape asked for",
        {
            "detail": [
                {
                    "type": "missing",
                    "loc": ["body"],
                    "msg": "Field required",
                    "input": None,
                }
            ]
        },
    ),
    429: ("TooMany", "Asked too often", {"detail": "Too many requests; try later"}),
    500: ("Failed", "It failed, and this says why", {"detail": "It failed"}),
    501: ("Off", "The operator has not turned this on", {"detail": "It is off"}),
    503: (
        "Unavailable",
        "The database is away or the queue full; nothing was done",
        {"detail": "The database does not answer; try again in a moment"},
    ),
    507: (
        "Full",
        "There is no room left; nothing was kept",
        {"detail": "The server has no room left for files"},
    ),
}
"""Each refusal: its name, when it is given, an example."""

SAID: Final[dict[str, str]] = {
    "200": "Done",
    "201": "Created",
    "202": "Begun",
    "204": "Done; there is nothing to say",
    "304": "Nothing changed",
}

SCHEMAS: Final[dict[str, Any]] = {
    "Violation": {
        "title": "Violation",
        "description": "What is wrong, and where: `loc` leads from the part to the "
        "field.",
        "type": "object",
        "required": ["type", "loc", "msg"],
        "properties": {
            "type": {"type": "string", "examples": ["missing"]},
            "loc": {"type": "array", "items": {"type": ["string", "integer"]}},
            "msg": {"type": "string", "examples": ["Field required"]},
            "input": {"description": "What was sent there, where that can be shown."},
            "ctx": {"type": "object", "description": "What more there is to say."},
        },
    },
    "Refusal": {
        "title": "Refusal",
        "description": "Why not.",
        "type": "object",
        "required": ["detail"],
        "additionalProperties": False,
        "properties": {
            "error": {
                "type": "object",
                "description": "The same as OpenAI's clients read it, where they ask.",
            },
            "detail": {
                "oneOf": [
                    {"type": "string"},
                    {"type": "object"},
                    {
                        "type": "array",
                        "items": {"$ref": "#/components/schemas/Violation"},
                    },
                ]
            },
        },
    },
}

PARAMETERS: Final[dict[str, Any]] = {
    "MinPosition": {
        "name": "X-Min-Position",
        "in": "header",
        "required": False,
        "description": "Wait until what is read has come that far, 2 s at most.",
        "schema": {"type": "string", "pattern": "^(core|runs)=\\d{1,18}"},
        "example": "core=12,runs=90",
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A repeat with the same key gets the first one's answer; the "
        "same key with another request is 422.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": "3d1f2c9a-rename",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The version that this edit is based on, as its ETag told.",
        "schema": {"type": "string", "pattern": '^(\\*|(W/)?"\\d{1,18}"|\\d{1,18})$'},
        "example": '"7"',
    },
}

HEADERS: Final[dict[str, Any]] = {
    "RequestId": {
        "description": "What the server's log calls this request.",
        "schema": {"type": "string"},
    },
    "Position": {
        "description": "Where in the logs this command's events lie.",
        "schema": {"type": "string", "examples": ["core=12,runs=90"]},
    },
    "Stale": {
        "description": "What is read next may not show this command yet.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Total": {
        "description": "How many items the whole list has.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Next": {
        "description": 'Where the next part is, if there is one: `rel="next"`.',
        "schema": {"type": "string"},
    },
    "ETag": {
        "description": "The version of this flow, for `If-Match`.",
        "schema": {"type": "string", "examples": ['"7"']},
    },
    "RetryAfter": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 1},
    },
}

SCHEMES: Final[dict[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of a sign-in; an API key is taken, too.",
    },
    "keyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": KEY,
        "description": "An API key.",
    },
    "keyQuery": {
        "type": "apiKey",
        "in": "query",
        "name": KEY,
        "description": "An API key, where no header can be sent.",
    },
    "accessCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": ACCESS,
        "description": "The cookie of a sign-in, from this server's own pages only.",
    },
    "refreshCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": REFRESH,
        "description": "The cookie that renews a sign-in.",
    },
}
