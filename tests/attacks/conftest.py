"""A whole server with little room, what it logs, and people who mean harm."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import override

import pytest

from api.composition import Application, compose
from infrastructure.settings import load
from tests.api.conftest import (
    PASSWORD,
    Join,
    Person,
    ada,
    anybody,
    bob,
    join,
    root,
    serving,
)
from tests.attacks.belongings import Belongings, belongings
from tests.fake_openai import FakeModels
from tests.servers import Databases

__all__ = ["ada", "anybody", "bob", "join", "root"]

ROOM = 8
QUEUE = 40
MODEL_KEY = "sk-operators-own-canary-5d1f"


class Said(logging.Handler):
    """Everything the server logs, as an operator's files would hold it."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line, with its traceback."""
        if record.name != "httpx":  # the tests' own client; the server's is silenced
            self.lines.append(self.format(record))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture(scope="session")
def said() -> Iterator[Said]:
    """The server's log."""
    handler, top = Said(), logging.getLogger()
    level = top.level
    top.addHandler(handler)
    top.setLevel(logging.INFO)
    yield handler
    top.removeHandler(handler)
    top.setLevel(level)


@pytest.fixture(scope="session")
async def models() -> AsyncIterator[FakeModels]:
    """The operator's model server, on an address that flows may not name."""
    async with FakeModels() as fake:
        yield fake


@pytest.fixture(scope="session")
async def application(
    postgres: Databases,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
    said: Said,
    models: FakeModels,
) -> AsyncIterator[Application]:
    """The application, wired as in earnest, with room for a few runs only."""
    addresses = postgres.create(template=migrated_template)
    settings = load(
        {
            "LANGBUILDER_DATA_DIR": str(tmp_path_factory.mktemp("data")),
            "LANGBUILDER_DATABASE_URL": addresses.dsn,
            "LANGBUILDER_MIGRATION_URL": addresses.migration_dsn,
            "LANGBUILDER_SUPERUSER": "root",
            "LANGBUILDER_SUPERUSER_PASSWORD": PASSWORD,
            "LANGBUILDER_NEW_USER_IS_ACTIVE": "true",
            "LANGBUILDER_RATE_LIMIT_SIGN_IN": "0",
            "LANGBUILDER_LOG_RETRIEVER_BUFFER_SIZE": "10000",
            "LANGBUILDER_MAX_JSON_BODY_BYTES": str(4 * 1024 * 1024),
            "LANGBUILDER_MAX_CONCURRENT_RUNS": str(ROOM),
            "LANGBUILDER_MAX_QUEUED_RUNS": str(QUEUE),
            "LANGBUILDER_OPENAI_BASE_URL": models.openai_url,
        },
        env_file=None,
    )
    async with compose(settings) as application:
        yield application


@pytest.fixture(scope="session")
async def address(application: Application) -> AsyncIterator[str]:
    """Where the server listens."""
    async with serving(application) as address:
        yield address


@pytest.fixture(scope="session")
async def mallory(join: Join) -> Person:
    """Somebody with an account, and nothing good in mind."""
    return await join("mallory")


@pytest.fixture
async def eve(join: Join) -> Person:
    """Somebody who has just come, and may be gone after the test."""
    return await join("eve")


@pytest.fixture(scope="session")
async def hers(ada: Person) -> Belongings:
    """One of everything, all Ada's."""
    return await belongings(ada)
