"""A whole server, somebody with flows on it, and either client in her hand."""

from collections.abc import AsyncIterator

import pytest

from langbuilder import AsyncClient, Client
from tests.api.conftest import (
    Join,
    Person,
    address,
    application,
    join,
    model_server,
)
from tests.langbuilder.hands import Hand

__all__ = ["address", "application", "join", "model_server"]

KINDS = {"blocking": Client, "awaiting": AsyncClient}


@pytest.fixture(scope="session")
async def grace(join: Join) -> Person:
    """Somebody whose programs do her work."""
    return await join("grace")


@pytest.fixture(scope="session")
async def key(grace: Person) -> str:
    """An API key of hers."""
    answer = await grace.post("/api/v1/api_key/", json={"name": "programs"})
    return str(answer.json()["api_key"])


@pytest.fixture(params=KINDS)
async def hand(
    request: pytest.FixtureRequest, address: str, key: str
) -> AsyncIterator[Hand]:
    """A client of hers, of either kind."""
    hand = Hand(KINDS[request.param](address, api_key=key))
    yield hand
    await hand.close()
