"""A whole server on a real PostgreSQL, and people who use it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import uvicorn

from api.app import create_app
from api.cli.serving import KEEP_ALIVE
from api.composition import Application, compose
from api.sockets import SERVED, keep_quiet
from infrastructure.settings import load
from tests.fake_openai import FakeModels
from tests.servers import Databases
from tests.standins import ALLOWED

PASSWORD = "correct horse battery"
PATIENCE = 30.0
"""Seconds a client waits: on a busy machine twenty passwords take a while to hash."""


class Person(httpx.AsyncClient):
    """Somebody with a browser, signed in."""

    id: str
    username: str
    token: str


@pytest.fixture(scope="session")
async def model_server() -> AsyncIterator[FakeModels]:
    """The server whose models flows ask."""
    async with FakeModels() as fake:
        yield fake


@pytest.fixture
def models(model_server: FakeModels) -> FakeModels:
    """The models, behaving as if nobody had asked them yet."""
    for knob in fields(FakeModels):
        if knob.name not in ("calls", "port"):
            setattr(model_server, knob.name, knob.default)
    model_server.calls.clear()
    return model_server


@pytest.fixture(scope="session")
async def application(
    postgres: Databases,
    migrated_template: str,
    model_server: FakeModels,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Application]:
    """The application, wired as in earnest."""
    addresses = postgres.create(template=migrated_template)
    settings = load(
        {
            "LANGBUILDER_DATA_DIR": str(tmp_path_factory.mktemp("data")),
            "LANGBUILDER_DATABASE_URL": addresses.dsn,
            "LANGBUILDER_MIGRATION_URL": addresses.migration_dsn,
            "LANGBUILDER_SUPERUSER": "root",
            "LANGBUILDER_SUPERUSER_PASSWORD": PASSWORD,
            "LANGBUILDER_NEW_USER_IS_ACTIVE": "true",
            "LANGBUILDER_STORE_ENVIRONMENT_VARIABLES": "false",
            "LANGBUILDER_OPENAI_BASE_URL": model_server.openai_url,
            "LANGBUILDER_ALLOWED_HOSTS": ALLOWED,
            "LANGBUILDER_RATE_LIMIT_SIGN_IN": "0",
            "LANGBUILDER_MAX_JSON_BODY_BYTES": str(4 * 1024 * 1024),
        },
        env_file=None,
    )
    async with compose(settings) as application:
        yield application


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[str]:
    """Serve *application* on a port of loopback; yield its address."""
    keep_quiet()
    # By name of its protocol: only then does asyncio send small answers at once.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            create_app(application),
            log_config=None,
            access_log=False,
            lifespan="on",
            timeout_keep_alive=KEEP_ALIVE,
            **SERVED,
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await task


@pytest.fixture(scope="session")
async def address(application: Application) -> AsyncIterator[str]:
    """Where the server listens."""
    async with serving(application) as address:
        yield address


@pytest.fixture
async def anybody(address: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who is not signed in."""
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        yield client


type Join = Callable[[str], Awaitable[Person]]


@pytest.fixture(scope="session")
async def join(address: str) -> AsyncIterator[Join]:
    """Let somebody of that name (and some letters) sign up and in."""
    people: list[Person] = []

    async def joined(name: str) -> Person:
        username = f"{name}-{uuid4().hex[:8]}"
        person = await signed_up(address, username)
        people.append(person)
        return person

    yield joined
    for person in people:
        await person.aclose()


@pytest.fixture(scope="session")
async def ada(join: Join) -> Person:
    """Somebody with flows of her own."""
    return await join("ada")


@pytest.fixture(scope="session")
async def bob(join: Join) -> Person:
    """Somebody whom Ada's flows do not concern."""
    return await join("bob")


@pytest.fixture(scope="session")
async def root(address: str) -> AsyncIterator[Person]:
    """The first superuser."""
    person = await signed_in(address, "root")
    yield person
    await person.aclose()


async def signed_up(address: str, username: str) -> Person:
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client:
        answer = await client.post(
            "/api/v1/users/", json={"username": username, "password": PASSWORD}
        )
        assert answer.status_code == 201, answer.text
    return await signed_in(address, username)


async def signed_in(address: str, username: str, password: str = PASSWORD) -> Person:
    person = Person(base_url=address, timeout=PATIENCE)
    answer = await person.post(
        "/api/v1/login", data={"username": username, "password": password}
    )
    assert answer.status_code == 200, answer.text
    person.token = answer.json()["access_token"]
    person.cookies.clear()
    person.headers["Authorization"] = f"Bearer {person.token}"
    me = (await person.get("/api/v1/users/whoami")).json()
    person.id, person.username = me["id"], me["username"]
    return person


def timeless(flow: dict[str, Any]) -> dict[str, Any]:
    """
    Return a flow without when it was changed.

    Who made a change is told the second of the answer, which may be the next one.
    """
    return {key: value for key, value in flow.items() if key != "updated_at"}


def drawn(*names: str, **more: Any) -> dict[str, Any]:
    """A small document with a vertex a name, joined in a row."""
    nodes = [
        {
            "id": name,
            "type": "genericNode",
            "position": {"x": 100.5 * i, "y": 0},
            "data": {
                "id": name,
                "type": name.partition("-")[0],
                "node": {"template": {"_type": "Component"}, "unknown": [1, "œ"]},
            },
        }
        for i, name in enumerate(names)
    ]
    edges = [
        {"id": f"{one}-{other}", "source": one, "target": other}
        for one, other in pairwise(names)
    ]
    return {"nodes": nodes, "edges": edges, **more}


SHARED = Path(__file__).parents[2] / ".." / "shared"
