"""A page elsewhere that makes the browser call this machine by another name."""

from collections.abc import AsyncIterator

import httpx
import pytest

from api.composition import compose
from infrastructure.settings import load
from tests.api.conftest import PASSWORD, PATIENCE, serving
from tests.servers import Databases


@pytest.fixture(scope="module")
async def open_house(
    postgres: Databases,
    migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[httpx.AsyncClient]:
    """A server on loopback that lets anybody on this machine in."""
    addresses = postgres.create(template=migrated_template)
    settings = load(
        {
            "LANGBUILDER_DATA_DIR": str(tmp_path_factory.mktemp("open")),
            "LANGBUILDER_DATABASE_URL": addresses.dsn,
            "LANGBUILDER_MIGRATION_URL": addresses.migration_dsn,
            "LANGBUILDER_SUPERUSER_PASSWORD": PASSWORD,
            "LANGBUILDER_AUTO_LOGIN": "true",
        },
        env_file=None,
    )
    async with (
        compose(settings) as application,
        serving(application) as address,
        httpx.AsyncClient(base_url=address, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:7860"])
async def test_a24_this_machine_is_let_in_unasked_where_the_operator_says_so(
    open_house: httpx.AsyncClient, name: str
) -> None:
    answer = await open_house.get("/api/v1/auto_login", headers={"Host": name})

    assert answer.status_code == 200
    assert answer.json()["refresh_token"] is None


@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "evil.example:7860",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "192.168.1.2",
        "evil.example#127.0.0.1",
        "",
    ],
)
async def test_a24_a_name_that_was_bound_to_this_machine_lets_nobody_in(
    open_house: httpx.AsyncClient, name: str
) -> None:
    answer = await open_house.get("/api/v1/auto_login", headers={"Host": name})

    assert answer.status_code in {400, 403, 422}
    assert "access_token" not in answer.text


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a24_whoever_comes_from_elsewhere_is_not_let_in_unasked(
    open_house: httpx.AsyncClient, header: dict[str, str]
) -> None:
    answer = await open_house.get("/api/v1/auto_login", headers=header)

    assert answer.status_code in {400, 403}
