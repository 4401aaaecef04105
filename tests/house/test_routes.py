"""The matrix of who may do what knows every route: here a new one is missed."""

from typing import Any

import pytest

from api.openapi.document import described
from tests.attacks.doors import Door, doors, sockets
from tests.attacks.matrix import (
    BELONGINGS,
    BODIES,
    HELP,
    ONLY_SUPERUSERS,
    OPEN,
    OTHERWISE,
    PLAIN,
    QUERIES,
    SOCKETS,
    UNASKED,
)
from tests.house.bare import bare_app


@pytest.fixture(scope="module")
def all_doors() -> list[Door]:
    app = bare_app()
    return doors(app, described(app))


def missing(found: set[Any]) -> str:
    """Return what to tell whoever added a route."""
    return f"{HELP}\nNot known: {sorted(map(str, found))}"


def test_a10_every_route_says_whether_it_is_open_to_all(all_doors: list[Door]) -> None:
    opened = {door.name for door in all_doors if door.open_to_all}

    assert len(all_doors) > 70
    assert opened <= set(OPEN), missing(opened - set(OPEN))
    assert set(OPEN) <= opened, f"not open (any more): {set(OPEN) - opened}"


def test_a10_every_parameter_of_every_route_is_in_the_matrix(
    all_doors: list[Door],
) -> None:
    unknown = {
        (door.name, name)
        for door in all_doors
        for name in (*door.names, *door.asked)
        if name not in BELONGINGS and name not in PLAIN
    }

    assert not unknown, missing(unknown)


def test_a10_every_socket_is_in_the_matrix() -> None:
    found = set(sockets(bare_app()))

    assert found == set(SOCKETS), missing(found ^ set(SOCKETS))


def test_a10_the_matrix_tells_of_no_route_that_is_gone(all_doors: list[Door]) -> None:
    known = {door.name for door in all_doors}
    told = {*BODIES, *QUERIES, *OTHERWISE, *ONLY_SUPERUSERS, *UNASKED}

    assert told <= known, f"gone: {sorted(told - known)}"


def test_a20_what_administers_the_server_is_for_superusers(
    all_doors: list[Door],
) -> None:
    admin = [d for d in all_doors if d.path.startswith("/api/v1/admin/")]

    assert len(admin) > 8
    assert all(door.for_superusers for door in admin)
