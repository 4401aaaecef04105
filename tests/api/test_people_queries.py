"""A thousand of anything of a person's are asked for at once, not one by one."""

from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from api.composition import Application
from application.ports import SYSTEM, Cause
from domain.kernel import Aggregate
from domain.project.project import Project
from domain.user.user import User
from tests.api.conftest import Join, Person
from tests.queries import counted, inside

MANY = 1_000
WHO_ASKS = 2
"""Statements that find out whose token this is."""


async def stored(application: Application, *aggregates: Aggregate[Any]) -> None:
    cause = Cause(actor=SYSTEM, command_id=uuid4(), correlation_id=uuid4())
    world = application.world
    saved = await world.store.save(*aggregates, cause=cause)
    assert await application.daemon.reached(saved.position, within=30)


def named(count: int) -> Iterator[str]:
    return (f"Thing {n} {uuid4().hex[:4]}" for n in range(count))


async def fill(application: Application, owner: UUID, count: int) -> None:
    """Give somebody so many projects, keys and variables more."""
    user = await application.world.users.get(owner)
    for name in named(count):
        user.issue_api_key(uuid4(), name=name, hint="sk-12345")
        user.define_variable(uuid4(), name=name, kind="Credential", secret=uuid4())
    projects = [Project.open(uuid4(), owner=owner, name=name) for name in named(count)]
    await stored(application, user, *projects)


@pytest.fixture(scope="module")
async def few(application: Application, join: Join) -> Person:
    """Somebody with three of each, and a Starter Project."""
    person = await join("few")
    await fill(application, UUID(person.id), 3)
    return person


@pytest.fixture(scope="module")
async def many(application: Application, join: Join) -> Person:
    """Somebody with a thousand of each."""
    person = await join("many")
    await fill(application, UUID(person.id), MANY)
    return person


@pytest.fixture(scope="module")
async def within(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose requests are answered in the task that asks."""
    async with inside(application, token="") as client:
        yield client


async def asked(
    within: httpx.AsyncClient, person: Person, path: str
) -> tuple[Any, int]:
    """Return an answer, and how many statements it took besides who asks."""
    headers = {"Authorization": f"Bearer {person.token}"}
    # What has happened to somebody since they last asked is read once.
    await within.get("/api/v1/users/whoami", headers=headers)
    with counted() as sent:
        answer = await within.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json(), len(sent) - WHO_ASKS


def listed(said: Any) -> int:
    return len(said["api_keys"] if isinstance(said, dict) else said)


@pytest.mark.parametrize(
    ("path", "statements"),
    [
        ("/api/v1/projects/", 1),
        ("/api/v1/folders/", 1),
        ("/api/v1/variables/", 1),
        # How often each was used is counted elsewhere, and asked for once.
        ("/api/v1/api_key/", 2),
    ],
)
async def test_a_list_takes_as_many_statements_with_a_thousand_as_with_three(
    within: httpx.AsyncClient, few: Person, many: Person, path: str, statements: int
) -> None:
    three, of_three = await asked(within, few, path)
    thousand, of_thousand = await asked(within, many, path)

    assert listed(thousand) - listed(three) == MANY - 3
    assert of_three == of_thousand == statements


async def test_a_page_of_a_thousand_users_is_asked_for_at_once(
    application: Application, within: httpx.AsyncClient, root: Person
) -> None:
    mark = uuid4().hex[:8]
    people = [
        User.register(uuid4(), username=f"{mark}-{n}", active=True) for n in range(MANY)
    ]
    await stored(application, *people)

    said, statements = await asked(
        within, root, f"/api/v1/users/?limit={MANY}&search={mark}"
    )

    assert said["total_count"] == len(said["users"]) == MANY
    assert statements == 1


async def test_a_page_of_a_project_is_asked_for_at_once(
    within: httpx.AsyncClient, few: Person
) -> None:
    [home, *_] = (await few.get("/api/v1/projects/")).json()

    said, statements = await asked(
        within,
        few,
        f"/api/v1/projects/{home['id']}?page=1&size=50&search=a&is_flow=true",
    )

    assert said["flows"]["items"]
    # The project, the page with its number, the canvases, and the vault's places.
    assert statements <= 4
