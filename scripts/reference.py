"""Writes docs/reference from the code: settings, events, errors, command line."""

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, product
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin
from uuid import UUID

import click
import msgspec
from litestar import Controller
from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler

from domain.catalogue import UNIONS, tag_of
from domain.kernel import ContentRef, DomainError, Event
from infrastructure.settings import SETTINGS, Setting
from scripts.reference_client import python_client
from scripts.reference_limits import limits

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PACKAGES = ("domain", "application", "infrastructure", "projections", "api")
NOTE = "<!-- Written by `make docs` from the code; do not edit. -->\n"

SETTINGS_INTRODUCED = """\
Set them in the environment, or in a file `.env` where the server starts; the
environment wins. Each is checked at start: a wrong value stops the start and says what
is wrong, with an example.
"""
EVENTS_INTRODUCED = """\
Every edit and every step, as it is stored. The tag is the event's permanent name; the
fields are its payload as JSON. Around it stand the stream, version, position and time,
who did it, and which command caused it. A *content reference* (`id`, `digest`, `size`)
names text that lies outside the event, sealed; it can be deleted without touching
history.
"""
ERRORS_INTRODUCED = """\
When a command is understood and refused, the answer carries a sentence. The slug is the
refusal's stable name, in logs and in events.
"""

HTTP_INTRODUCED = """\
The wire format is LangBuilder's. Send `Authorization: Bearer <token>` or `x-api-key:
<key>`; both are accepted everywhere. Somebody else's things answer 404, as if they were
not there. Each path works with and without a slash at its end. The running server
describes itself in full at `/docs`, in OpenAPI 3.1 at `/openapi.json`; what is marked
`WS` is a WebSocket, which that document has no words for.

| Header | Means |
|---|---|
| `Idempotency-Key` (request) | a repeat gets the first one's answer |
| `If-Match`, `ETag` | the flow's version that an edit was based on, and made |
| `X-Position` (answer) | where in the logs the command's events lie |
| `X-Min-Position` (request) | wait until what is read has come that far |
| `X-Stale` (answer) | what you read next may not show this command yet |
| `Last-Event-ID` (request) | on `/runs/{run_id}/events`: go on after this version |
"""

WORDS: dict[object, str] = {
    Any: "JSON",
    NoneType: "null",
    UUID: "uuid",
    str: "text",
    int: "whole number",
    bool: "true or false",
    datetime: "time (ISO 8601)",
    ContentRef: "content reference",
}


def shown(kind: object) -> str:
    """Return a type annotation in words for people who read JSON."""
    kind = getattr(kind, "__value__", kind)
    if kind in WORDS:
        return WORDS[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    words = str(kind)
    if origin is Literal:
        words = " or ".join(f"`{word}`" for word in arguments)
    elif origin in {Union, UnionType}:
        present = [one for one in arguments if one is not msgspec.UnsetType]
        words = " or ".join(dict.fromkeys(shown(one) for one in present))
    elif origin is tuple:
        words = f"list of {shown(arguments[0])}"
    elif origin is dict:
        words = f"object of {shown(arguments[1])}"
    return words


def prose(thing: object) -> str:
    """Return a docstring as one paragraph, with code in Markdown's quotes."""
    text = inspect.cleandoc(getattr(thing, "__doc__", None) or "")
    return " ".join(text.replace("``", "`").split())


def settings() -> str:
    """Return the page of every setting."""
    lines = [NOTE, "# Settings\n", SETTINGS_INTRODUCED.rstrip()]
    for chapter, those in groupby(SETTINGS, key=lambda setting: setting.chapter):
        head = ["| Name | What it does | Default |", "|---|---|---|"]
        lines += [f"\n## {chapter}\n", *head, *map(_setting, those)]
    return "\n".join(lines) + "\n"


def _setting(setting: Setting) -> str:
    doc = setting.doc
    if setting.example not in {str(setting.default), str(setting.default).lower()}:
        doc += f" Example: `{setting.example}`."
    return f"| `{setting.env}` | {doc} | {_default(setting.default)} |"


def _default(value: object) -> str:
    if value is None or value in ("", ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def events() -> str:
    """Return the page of every event, by what it happens to."""
    lines = [
        NOTE,
        "# Events\n",
        EVENTS_INTRODUCED,
    ]
    for union in UNIONS:
        members: tuple[type[Event], ...] = get_args(union.__value__)
        lines.append(f"## {tag_of(members[0]).partition('.')[0].capitalize()}\n")
        for event in members:
            lines += _event(event)
    return "\n".join(lines).rstrip() + "\n"


def _event(event: type[Event]) -> Iterator[str]:
    yield f"### `{tag_of(event)}`\n"
    doc = prose(event) if "__doc__" in vars(event) and event.__doc__ else ""
    if doc:
        yield f"{doc}\n"
    fields = msgspec.structs.fields(event)
    if not fields:
        yield "No payload.\n"
        return
    yield from ("| Field | Type | Default |", "|---|---|---|")
    for field in fields:
        absent = "required" if field.required else _missing(field.default)
        yield f"| `{field.encode_name}` | {shown(field.type)} | {absent} |"
    yield ""


def _missing(default: object) -> str:
    if default is msgspec.UNSET:
        return "may be absent"
    return f"`{msgspec.json.encode(default).decode()}`"


def domain_errors() -> list[type[DomainError]]:
    """Return every refusal of ours, by slug."""
    for package in PACKAGES:
        folder = importlib.import_module(package)
        for module in pkgutil.walk_packages(folder.__path__, f"{package}."):
            importlib.import_module(module.name)
    return sorted(_subclasses(DomainError), key=lambda error: error.__name__)


def _subclasses[E](kind: type[E]) -> Iterator[type[E]]:
    for child in kind.__subclasses__():
        if child.__module__.partition(".")[0] in PACKAGES:
            yield child
        yield from _subclasses(child)


def slug(error: type[DomainError]) -> str:
    """Return the stable code of a refusal."""
    return error.__name__.removesuffix("Error")


def errors() -> str:
    """Return the page of every refusal."""
    lines = [
        NOTE,
        "# Errors\n",
        ERRORS_INTRODUCED,
        "| Slug | What it says |",
        "|---|---|",
    ]
    for error in dict.fromkeys(domain_errors()):
        said = (prose(error) or slug(error)).replace("|", "\\|")
        lines.append(f"| `{slug(error)}` | {said} |")
    return "\n".join(lines) + "\n"


def command_line() -> str:
    """Return the page of every command."""
    main = importlib.import_module("api.cli").main
    lines = [NOTE, "# Command line\n"]
    for path, command in _commands("langbuilder", main):
        settings: dict[str, Any] = main.context_settings
        context = click.Context(command, info_name=path, terminal_width=88, **settings)
        lines += [f"## `{path}`\n", "```text", context.get_help(), "```\n"]
    return "\n".join(lines).rstrip() + "\n"


def _commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            if (child := command.get_command(context, name)) is not None:
                yield from _commands(f"{path} {name}", child)


def http() -> str:
    """Return the page of every route."""
    routes: dict[str, list[str]] = {}
    for prefix, controller in _controllers():
        tag = vars(controller)["tags"][0]
        routes.setdefault(tag, []).extend(sorted(_routes(prefix, controller)))
    lines = [NOTE, "# HTTP\n", HTTP_INTRODUCED]
    for tag, found in routes.items():
        lines += [f"## {tag}\n", "| Route | What it does |", "|---|---|", *found, ""]
    return "\n".join(lines).rstrip() + "\n"


def _controllers() -> Iterator[tuple[str, type[Controller]]]:
    routes = importlib.import_module("api.routes")
    for path, controllers in routes.MOUNTED.items():
        for controller in controllers:
            yield path, controller


def _routes(prefix: str, controller: type[Controller]) -> Iterator[str]:
    under = f"{prefix}/{_said(controller, 'path', '')}"
    opt: dict[str, Any] = _said(controller, "opt", {})
    public = opt.get("public", False)
    for _, handler in inspect.getmembers_static(controller):
        if not isinstance(handler, HTTPRouteHandler | WebsocketRouteHandler):
            continue
        open_to_all = (handler.opt or {}).get("public", public)
        says = prose(handler.fn) + (" *Open to all.*" if open_to_all else "")
        methods = getattr(handler, "http_methods", {"WS"})
        for path, method in product(handler.paths or {"/"}, methods):
            whole = re.sub(r"/+", "/", f"{under}/{path}").rstrip("/")
            yield f"| `{method} {re.sub(r':[a-z]+}', '}', whole)}` | {says} |"


def _said[T](controller: type[Controller], name: str, otherwise: T) -> T:
    value = getattr(controller, name)
    return otherwise if inspect.ismemberdescriptor(value) else value


PAGES = {
    "python-client.md": python_client,
    "http.md": http,
    "settings.md": settings,
    "events.md": events,
    "errors.md": errors,
    "cli.md": command_line,
    "limits.md": limits,
}


def main() -> None:
    """Write every page that is not current."""
    for name, page in PAGES.items():
        path, text = REFERENCE / name, page()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote docs/reference/{name}\n")


if __name__ == "__main__":
    main()
