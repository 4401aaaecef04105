"""Each route counts for the rate that it costs."""

import pytest
from litestar.routes import HTTPRoute

from api.rates import kind_of
from application.rates import Kind
from tests.attacks.doors import plain
from tests.house.bare import bare_app

KINDS: dict[str, Kind | None] = {
    "GET /health": None,
    "GET /api/v1/flows/basic_examples": None,
    "POST /api/v1/login": "sign_in",
    "POST /api/v1/login/link": "sign_in",
    "POST /api/v1/users": "sign_in",
    "POST /api/v1/refresh": "other",
    "GET /api/v1/flows": "other",
    "PATCH /api/v1/flows/{}": "other",
    "POST /api/v1/run/{}": "runs",
    "POST /api/v1/build/{}/flow": "runs",
    "POST /v1/chat/completions": "runs",
    "POST /api/v1/responses": "runs",
    "GET /api/v1/build/{}/events": "other",
    "POST /api/v1/build_public_tmp/{}/flow": "public_runs",
    "POST /api/v1/files/upload/{}": "uploads",
    "POST /api/v1/upload/{}": "uploads",
    "POST /api/v2/files": "uploads",
}


@pytest.mark.parametrize("name", KINDS)
def test_a_route_counts_for_what_it_costs(name: str) -> None:
    method, _, path = name.partition(" ")
    [handler] = [
        route.route_handler_map[method][0]  # type: ignore[index]  # a str here
        for route in bare_app().routes
        if isinstance(route, HTTPRoute)
        and plain(route.path_format) == path
        and method in route.route_handler_map
    ]

    assert kind_of(handler, method) == KINDS[name]
