"""Lists cost as many statements with a thousand rows as with one."""

import pytest

from api.composition import Application
from tests.api.conftest import Join, Person, drawn
from tests.queries import counted, inside

FLOWS = 1_000
WHO_ASKS = 2
"""Statements that find out whose token this is."""

HEADS = "/api/v1/flows/?get_all=true&header_flows=true"
COMPONENTS = "/api/v1/flows/?get_all=true&components_only=true"
WHOLE = "/api/v1/flows/?get_all=true"
PAGE = "/api/v1/flows/?get_all=false&size=100"


@pytest.fixture(scope="module")
async def owner(join: Join) -> Person:
    """Somebody with a thousand flows."""
    owner = await join("thousand")
    many = [
        {"name": f"Flow {n}", "data": drawn(f"ChatInput-{n}", viewport={"x": n})}
        for n in range(FLOWS)
    ]
    made = await owner.post("/api/v1/flows/batch/", json={"flows": many})
    assert made.status_code == 201, made.text
    return owner


@pytest.mark.parametrize(
    ("asked", "most"), [(HEADS, 1), (COMPONENTS, 1), (WHOLE, 2), (PAGE, 3)]
)
async def test_a_list_of_a_thousand_flows_is_asked_for_at_once(
    application: Application, owner: Person, asked: str, most: int
) -> None:
    async with inside(application, token=owner.token) as client:
        with counted() as sent:
            answer = await client.get(asked)

    assert answer.status_code == 200, answer.text
    assert len(sent) - WHO_ASKS <= most, "\n".join(sent)
