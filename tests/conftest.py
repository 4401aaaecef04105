"""What every test may ask for: real servers, and places of its own on them."""

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.servers import (
    Addresses,
    Databases,
    S3Server,
    postgres_server,
    s3_server,
    valkey_server,
)

if TYPE_CHECKING:
    from infrastructure.postgres import Database


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
    from infrastructure.event_store.migrate import migrate

    addresses = postgres.create()
    await migrate(addresses.migration_dsn)
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
async def database(database_addresses: Addresses) -> AsyncIterator["Database"]:
    """A new, migrated database, connected to as the application's role."""
    from infrastructure.postgres import Database

    opened = await Database.open(database_addresses.dsn)
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
