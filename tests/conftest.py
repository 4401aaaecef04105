"""What every test may ask for: real servers, and places of its own on them."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from infrastructure import credentials
from infrastructure.event_store.migrate import migrate
from infrastructure.postgres import Database
from infrastructure.postgres_cluster import APP_ROLE
from infrastructure.settings import Settings, load
from tests.servers import (
    Addresses,
    Databases,
    S3Server,
    postgres_server,
    s3_server,
    valkey_server,
)

# How long one example takes says more of the machine than of the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

# A quarter of a second each time somebody of a test signs up or in; servers that tests
# start as processes keep to what is right for people.
credentials.ROUNDS = 4

LONGEST_FIRST = (
    *("journeys", "resilience", "attacks", "api", "projections", "contracts"),
    *("infrastructure", "langbuilder", "components", "house", "domain"),
    *("application", "golden"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave small files for the end: there, who is done waits for who is not."""
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name, 0))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL of this test process; ask for a `database` on it instead."""
    with postgres_server() as databases:
        yield databases


@pytest.fixture
def blank_database(postgres: Databases) -> Iterator[Addresses]:
    """The addresses of a new database without any table."""
    addresses = postgres.create()
    yield addresses
    postgres.drop(addresses.name)


@pytest.fixture(scope="session")
async def migrated_template(postgres: Databases) -> str:
    """The name of a database that was migrated once, for others to copy."""
    addresses = postgres.create()
    await migrate(addresses.migration_dsn, app_role=APP_ROLE)
    return addresses.name


@pytest.fixture
def database_addresses(
    postgres: Databases, migrated_template: str
) -> Iterator[Addresses]:
    """The addresses of a new, migrated database."""
    addresses = postgres.create(template=migrated_template)
    yield addresses
    postgres.drop(addresses.name)


@pytest.fixture
async def database(database_addresses: Addresses) -> AsyncIterator[Database]:
    """A new, migrated database, connected to as the application's role."""
    opened = await Database.open(
        database_addresses.dsn,
        migration_dsn=database_addresses.migration_dsn,
        pool_size=4,
    )
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The address of a real Valkey, which speaks Redis."""
    with valkey_server() as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3, with a bucket."""
    with s3_server() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings as they are when nobody sets anything, in a directory of their own."""
    return load({"LANGBUILDER_DATA_DIR": str(tmp_path)}, env_file=None)
