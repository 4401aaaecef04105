"""Every door of the server: what the router lets in, and what is told of it."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
from litestar import Litestar
from litestar.handlers.base import BaseRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute

from api.security import superuser

MULTIPART = "multipart/form-data"
ANY_METHOD = ("delete", "get", "patch", "post", "put")


class Door(NamedTuple):
    """One method of one path, and what its parameters are called."""

    method: str
    path: str
    names: tuple[str, ...]
    asked: tuple[str, ...]
    open_to_all: bool
    for_superusers: bool
    scopes: frozenset[str]
    sends: str | None
    example: Any

    @property
    def name(self) -> str:
        """Return method and path, as the tables of the matrix name it."""
        return f"{self.method.upper()} {self.path}"

    def to(self, *ids: str) -> str:
        """Return the path that leads to *ids*."""
        return self.path.format(*ids)


def doors(app: Litestar, described: dict[str, Any]) -> list[Door]:
    """
    Return every HTTP door of *app*; *described* is the document that tells of it.

    The router is asked, for it also has what no document tells. A mounted application
    is a door for each method.
    """
    found: list[Door] = []
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    told = described["paths"].get(route.path_format or "/", {})
                    operation = told.get(method.lower(), {})
                    found.append(_door(route, method.lower(), handler, operation))
        elif isinstance(route, ASGIRoute):
            found += [_door(route, m, route.route_handler, {}) for m in ANY_METHOD]
    return sorted(found)


def sockets(app: Litestar) -> dict[str, BaseRouteHandler]:
    """Return every WebSocket door of *app*, by its path."""
    return {
        plain(route.path_format): route.route_handler
        for route in app.routes
        if isinstance(route, WebSocketRoute)
    }


def _door(
    route: HTTPRoute | ASGIRoute,
    method: str,
    handler: BaseRouteHandler,
    operation: dict[str, Any],
) -> Door:
    content = operation.get("requestBody", {}).get("content", {})
    sends = next(iter(content), None)
    return Door(
        method=method,
        path=plain(route.path_format),
        names=tuple(route.path_parameters),
        asked=tuple(
            p["name"] for p in operation.get("parameters", []) if p.get("in") == "query"
        ),
        open_to_all=bool(handler.opt.get("public")),
        for_superusers=superuser in handler.resolve_guards(),
        scopes=_scopes(handler, method),
        sends=sends,
        example=None if sends is None else _example(content[sends]),
    )


def _scopes(handler: BaseRouteHandler, method: str) -> frozenset[str]:
    said = handler.opt.get("scope", "read" if method in {"get", "head"} else "write")
    return frozenset({said} if isinstance(said, str) else said)


def _example(media: dict[str, Any]) -> Any:
    examples = [one.get("value") for one in media.get("examples", {}).values()]
    return next(iter(examples), media.get("example"))


def plain(path: str) -> str:
    """Return a path whose parameters have no names."""
    return re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/"


def forbidden_words(text: str) -> Iterator[str]:
    """Yield what *text* shows of the inside."""
    yield from (word for word in INSIDE if word in text)


def sound(answer: httpx.Response) -> None:
    """Check that a refusal has the one shape, and tells nothing of the inside."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:200])
    said = answer.json()
    assert set(said) == {"detail"}, said
    assert said["detail"]
    tells_nothing(answer.text)


INSIDE = (
    *("Traceback", 'File \\"', ".py", "site-packages", "/src/", "/usr/", "/tmp/"),
    *("psycopg", "sqlalchemy", "SELECT ", "INSERT ", " es.", "rm_", "postgres"),
    *("msgspec", "litestar", "Errno"),
)


def tells_nothing(text: str) -> None:
    """Check that *text* shows no traceback, path, library or SQL."""
    shown = list(forbidden_words(text))
    assert not shown, (shown, text[:300])
