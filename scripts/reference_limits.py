"""Writes the page of limits: what they are called, and how much they are."""

from collections.abc import Iterator
from importlib import import_module
from typing import Final, NamedTuple

from infrastructure.settings import SETTINGS

KILO: Final = 1024
MEGA: Final = KILO * KILO

INTRODUCED: Final = """\
<!-- Written by `make docs` from the code; do not edit. -->

# Limits

Nothing is unbounded. What an operator may change is a setting; the rest stands in the
code under the name given here. Beyond a limit a request is refused with a sentence that
says which: 413 for size, 422 for shape and number, 429 and `Retry-After` for too much
of one person's, 503 and `Retry-After` for too much of everybody's, 408 for what came
too slowly. WebSockets close with 1008, 1009 or 1013.
"""


class Limit(NamedTuple):
    """A limit in words, where it stands, and what it counts."""

    words: str
    place: str
    unit: str = ""


def setting(words: str, field: str, unit: str = "") -> Limit:
    """Return a limit that an operator sets."""
    return Limit(words, f"LANGBUILDER_{field.upper()}", unit)


_TAIL: Final = "infrastructure.signals.redis:LONGEST_TAIL"

LIMITS: Final = {
    "Requests and streams": (
        Limit("head of a request", "api.lines:LARGEST_HEAD", "bytes"),
        Limit("until the head has come", "api.lines:HEAD_WITHIN", "s"),
        setting("JSON body", "max_json_body_bytes", "bytes"),
        Limit("until a body is over, or …", "api.paces:BODY_WITHIN", "s"),
        Limit("… so much of it has come", "api.paces:SLOWEST_BODY", "bytes"),
        Limit("levels of nested JSON", "infrastructure.event_store.fitness:DEEPEST"),
        setting("of one user answered at once, streams too", "max_open_requests"),
        Limit("of everybody answered at once", "api.open_streams:MOST_OPEN"),
        Limit("items in one page", "api.requests:LARGEST_PAGE"),
        Limit("items of a plain list in one answer", "api.lists:MOST"),
        Limit("`Idempotency-Key`", "api.requests:LONGEST_KEY", "characters"),
        Limit("wait for `X-Min-Position`", "api.requests:PATIENCE", "s"),
        Limit("wait of a poll for news", "api.polls:LONGEST", "s"),
        Limit("proxies in a row", "api.proxies:MOST_HOPS"),
    ),
    "Requests a minute": (
        setting("sign-ins and sign-ups of one address", "rate_limit_sign_in"),
        setting("runs of one user", "rate_limit_runs"),
        setting("runs of public flows of one address", "rate_limit_public_runs"),
        setting("uploads of one user", "rate_limit_uploads"),
        setting("others of one user", "rate_limit_other"),
    ),
    "WebSockets": (
        Limit("of one user open at once", "api.sockets:OF_ONE"),
        Limit("of everybody open at once", "api.sockets:OF_ALL"),
        Limit("one message", "api.sockets:LARGEST", "bytes"),
        Limit("messages that wait", "api.sockets:WAITING"),
        Limit("until a client has read", "api.sockets:SLOW", "s"),
        Limit("runs that one chat follows", "api.v1.chat:AT_ONCE"),
        Limit("one voice conversation", "api.voice.exchange:LASTS", "s"),
        Limit("an answer that is spoken", "api.voice.talk:LONGEST", "characters"),
    ),
    "Runs": (
        setting("a server executes at once", "max_concurrent_runs"),
        setting("that may wait for room", "max_queued_runs"),
        setting("one component", "vertex_timeout_seconds", "s"),
        Limit("pieces of speech kept for who comes late", _TAIL),
        Limit("images in one message", "api.openai.images:MOST"),
        Limit("one image", "domain.file.pictures:LARGEST", "bytes"),
    ),
    "Flows and projects": (
        Limit("vertices of a flow", "domain.flow.shape:MAX_VERTICES"),
        Limit("edges of a flow", "domain.flow.shape:MAX_EDGES"),
        Limit("levels of its document", "domain.flow.shape:MAX_DEPTH"),
        Limit("its document", "domain.flow.shape:MAX_BYTES", "bytes"),
        Limit("flows in one upload", "api.archives:MOST_FLOWS"),
        Limit("flows of a project", "application.projects:MOST_FLOWS"),
        Limit("projects in one another", "application.project_tree:DEEPEST"),
        Limit("any name", "application.names:LONGEST", "characters"),
        Limit(
            "code that is looked over", "api.v1.components:LONGEST_CODE", "characters"
        ),
    ),
    "Belongings of one user": (
        Limit("API keys", "application.api_keys:MOST"),
        Limit("variables", "application.variables:MOST"),
        Limit("value of a variable", "application.variables:LARGEST", "characters"),
        Limit("MCP servers of others", "application.mcp_servers:MOST"),
        Limit("how one is reached", "application.mcp_servers:LARGEST", "bytes"),
        setting("files that come at once", "max_concurrent_uploads_per_user"),
        setting("of everybody, on one server", "max_concurrent_uploads"),
        setting("one file", "max_file_size_upload", "MB"),
        setting("all files", "files_quota_mb", "MB"),
    ),
    "MCP": (
        Limit("tools that are shown", "application.tools:MOST"),
        Limit("streams of one user", "api.mcp.talks:MOST_OF_ONE"),
        Limit("streams of everybody", "api.mcp.talks:MOST"),
        Limit("file read whole", "application.resources:LARGEST", "bytes"),
        Limit(
            "answer of others' servers",
            "infrastructure.mcp_connections:LARGEST_ANSWER",
            "bytes",
        ),
        Limit("until one has told its tools", "application.mcp_servers:WITHIN", "s"),
    ),
    "Webhooks and guessing": (
        Limit(
            "clock of who signs, either way", "application.webhook_styles:WINDOW", "s"
        ),
        Limit(
            "secret to sign with, at most",
            "application.webhook_styles:LONGEST",
            "characters",
        ),
        Limit("wrong passwords until a pause", "application.failures:FAILURES"),
    ),
    "The log": (
        Limit(
            "one event", "infrastructure.event_store.sealing:MAX_EVENT_BYTES", "bytes"
        ),
        Limit(
            "events of one command",
            "infrastructure.event_store.command:MAX_COMMAND_EVENTS",
        ),
        Limit(
            "one command",
            "infrastructure.event_store.command:MAX_COMMAND_BYTES",
            "bytes",
        ),
    ),
}


def limits() -> str:
    """Return the page of limits."""
    return INTRODUCED + "".join(map(_section, LIMITS))


def _section(heading: str) -> str:
    rows = "".join(_rows(LIMITS[heading]))
    return f"\n## {heading}\n\n| What | How much | Its name |\n|---|---|---|\n{rows}"


def _rows(found: tuple[Limit, ...]) -> Iterator[str]:
    for limit in found:
        name = limit.place.replace(":", ".")
        much = _much(_value(limit.place), limit.unit)
        yield f"| {limit.words} | {much} | `{name}` |\n"


def _value(place: str) -> float:
    module, _, name = place.partition(":")
    settings = {one.env: one.default for one in SETTINGS}
    value = getattr(import_module(module), name) if name else settings[place]
    if not isinstance(value, int | float):
        raise TypeError(place)
    return value


def _much(value: float, unit: str) -> str:
    whole = round(value)
    if unit == "bytes" and whole % MEGA == 0:
        return f"{whole // MEGA:,} MB"
    if unit == "bytes" and whole % KILO == 0 and whole < MEGA:
        return f"{whole // KILO:,} KB"
    return f"{whole:,} {unit}".strip()
