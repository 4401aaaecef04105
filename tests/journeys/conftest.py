"""A server as people start it, shared by the journeys that leave it as it is."""

from collections.abc import Iterator

import pytest

from tests.journeys.running import Running, home_and_server


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """A running server with its own, new data."""
    with home_and_server() as started:
        yield started
