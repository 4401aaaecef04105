"""The page that sets our routes beside LangBuilder's tells of all, and rightly."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from litestar import Litestar
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute

from tests.api.conftest import SHARED
from tests.house.bare import bare_app

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "langbuilder-compatibility.md"
CONTRACT = SHARED / "contracts" / "langbuilder" / "openapi.json"
SAME, DIFFERENT, NOT_DONE = "same", "deliberately different", "not done"
ROW = re.compile(r"^\| `([A-Z]+) ([^`]+)` \| ([^|]*) \|([^|]*)\|?$", re.MULTILINE)
OURS_ONLY = re.compile(r"^\| `([A-Z]+) ([^`]+)` \| [^|]+ \|$", re.MULTILINE)

type Route = tuple[str, str]


class Row(NamedTuple):
    """One of LangBuilder's routes, and how ours stands to it."""

    route: Route
    status: str
    why: str


def plain(method: str, path: str) -> Route:
    """Return a route without the names of its parameters, nor a slash at its end."""
    return method, re.sub(r"\{[^}]*\}", "{}", path).rstrip("/") or "/"


@pytest.fixture(scope="module")
def sections() -> tuple[list[Row], set[Route]]:
    theirs, _, ours = PAGE.read_text("utf-8").partition("\n## Ours only\n")
    rows = [
        Row(plain(method, path), status.strip(), why.strip())
        for method, path, status, why in ROW.findall(theirs)
    ]
    only = [plain(*found) for found in OURS_ONLY.findall(ours)]
    assert len(only) == len(set(only)), {one for one in only if only.count(one) > 1}
    return rows, set(only)


@pytest.fixture(scope="module")
def told(sections: tuple[list[Row], set[Route]]) -> dict[Route, Row]:
    return {row.route: row for row in sections[0]}


@pytest.fixture(scope="module")
def served() -> set[Route]:
    app = bare_app()
    described = app.openapi_schema.to_schema()["paths"]
    from_document = {
        plain(method.upper(), path)
        for path, operations in described.items()
        for method in operations
    }
    return from_document | undescribed(app)


def undescribed(app: Litestar) -> set[Route]:
    """Return what OpenAPI has no word for: sockets, and HEAD of streams."""
    found: set[Route] = set()
    for route in app.routes:
        if isinstance(route, WebSocketRoute):
            found.add(plain("WS", route.path_format))
        elif isinstance(route, HTTPRoute) and "HEAD" in route.route_handler_map:
            found.add(plain("HEAD", route.path_format))
        elif isinstance(route, ASGIRoute):
            found.add(plain("ASGI", route.path_format))
    return found


def test_each_route_stands_once_with_a_status_and_a_reason(
    sections: tuple[list[Row], set[Route]],
) -> None:
    rows, _ = sections
    routes = [row.route for row in rows]

    assert len(rows) > 120
    assert len(routes) == len(set(routes)), {r for r in routes if routes.count(r) > 1}
    assert {row.status for row in rows} <= {SAME, DIFFERENT, NOT_DONE}
    assert not [row for row in rows if row.status == DIFFERENT and not row.why]


def test_what_we_say_we_have_is_there(
    told: dict[Route, Row], served: set[Route]
) -> None:
    claimed = {route for route, row in told.items() if row.status != NOT_DONE}

    assert claimed <= served, f"said to be there, and is not: {claimed - served}"


def test_what_is_there_is_not_called_not_done(
    told: dict[Route, Row], served: set[Route]
) -> None:
    built = {r for r in served if r in told and told[r].status == NOT_DONE}

    assert not built, (
        f"these are served: set their rows in {PAGE.name} to '{SAME}', or to "
        f"'{DIFFERENT}' with how: {sorted(built)}"
    )


def test_every_route_of_ours_is_on_the_page(
    sections: tuple[list[Row], set[Route]], told: dict[Route, Row], served: set[Route]
) -> None:
    _, ours = sections
    unknown = served - set(told) - ours

    assert not unknown, (
        f"add to 'Ours only' in docs/reference/{PAGE.name}, as "
        f"| `GET /path/{{id}}` | what for |: {sorted(unknown)}"
    )
    assert ours <= served, f"gone: {ours - served}"
    assert not ours & set(told), f"LangBuilder has these, too: {ours & set(told)}"


def test_every_route_of_langbuilders_is_on_the_page(told: dict[Route, Row]) -> None:
    if not CONTRACT.exists():
        pytest.skip("the captured OpenAPI document of LangBuilder is not at hand")
    contract: dict[str, Any] = json.loads(CONTRACT.read_text("utf-8"))
    theirs = {
        plain(method.upper(), path)
        for path, operations in contract["paths"].items()
        for method in operations
    }

    assert len(theirs) > 120
    assert theirs <= set(told), f"LangBuilder has them: {theirs - set(told)}"
