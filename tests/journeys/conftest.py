"""A server as people start it, shared by the journeys that leave it as it is."""

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from tests.journeys.browser import chromium
from tests.journeys.running import Running, home_and_server


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """A running server with its own, new data."""
    with home_and_server() as started:
        yield started


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A browser that every journey opens a window of its own in."""
    async with chromium() as started:
        yield started
