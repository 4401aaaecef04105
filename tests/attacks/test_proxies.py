"""A proxy before the server: who may speak for whom, and who seems to be at home."""

from collections.abc import AsyncIterator
from itertools import count

import httpx
import pytest
from msgspec.structs import replace

from api.composition import Application
from tests.api.conftest import PASSWORD, PATIENCE, Person, serving

RATE = 3
LIMITED = "/api/v1/login"
UNASKED = "/api/v1/auto_login"
TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "flows.example.org"}
_visitors = count(1)


def visitor() -> str:
    """Return an address that nobody else has."""
    return f"198.51.100.{next(_visitors)}"


@pytest.fixture(scope="module")
async def fronted(application: Application) -> AsyncIterator[str]:
    """A server that lets in people at this machine, where 127.0.0.1 is a proxy."""
    settings = replace(
        application.world.settings,
        auto_login=True,
        trusted_proxies=("127.0.0.1", "192.0.2.0/24"),
        rate_limit_sign_in=RATE,
    )
    same = replace(application, world=replace(application.world, settings=settings))
    async with serving(same) as address:
        yield address


def at(address: str, *, of: str) -> httpx.AsyncClient:
    """Return somebody who comes from an address *of* this machine."""
    return httpx.AsyncClient(
        base_url=address,
        timeout=PATIENCE,
        transport=httpx.AsyncHTTPTransport(local_address=of),
    )


@pytest.fixture
async def proxy(fronted: str) -> AsyncIterator[httpx.AsyncClient]:
    """The proxy that is trusted."""
    async with at(fronted, of="127.0.0.1") as client:
        yield client


@pytest.fixture
async def neighbour(fronted: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody else at this machine, whom nobody trusts to speak for others."""
    async with at(fronted, of=f"127.0.1.{next(_visitors)}") as client:
        yield client


async def tries(client: httpx.AsyncClient, headers: dict[str, str]) -> int:
    """Knock once; return the status, which is 429 when too many did."""
    return (await client.post(LIMITED, headers=headers)).status_code


async def test_a26_a_forged_header_dodges_no_limit(
    neighbour: httpx.AsyncClient,
) -> None:
    told = [
        {"X-Forwarded-For": visitor()},
        {"Forwarded": f"for={visitor()}"},
        {"X-Real-IP": visitor()},
        {"X-Forwarded-For": visitor()},
    ]

    assert [await tries(neighbour, one) for one in told] == [422, 422, 422, 429]


async def test_a26_visitors_behind_the_proxy_are_counted_apart(
    proxy: httpx.AsyncClient,
) -> None:
    one, other = visitor(), visitor()

    for forged in ("", "6.6.6.6, ", "127.0.0.1, "):
        assert await tries(proxy, {"X-Forwarded-For": forged + one}) == 422
    assert await tries(proxy, {"X-Forwarded-For": f"6.6.6.7, {one}"}) == 429
    assert await tries(proxy, {"X-Forwarded-For": f"{one}, 192.0.2.7"}) == 429
    assert await tries(proxy, {"X-Forwarded-For": other}) == 422


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "http"},
        {"Forwarded": "for=127.0.0.1;host=localhost"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 caddy"},
        {"CF-Connecting-IP": "127.0.0.1"},
    ],
)
async def test_a24_nobody_is_at_this_machine_whose_request_was_passed_on(
    neighbour: httpx.AsyncClient, proxy: httpx.AsyncClient, header: dict[str, str]
) -> None:
    for client in (neighbour, proxy):
        answer = await client.get(UNASKED, headers=header)

        assert answer.status_code in {400, 403}
        assert "access_token" not in answer.text


async def test_a24_a_proxy_that_says_nothing_is_no_neighbour(
    neighbour: httpx.AsyncClient, proxy: httpx.AsyncClient
) -> None:
    assert (await proxy.get(UNASKED)).status_code in {400, 403}
    assert (await neighbour.get(UNASKED)).status_code == 200


async def test_a64_cookies_are_for_tls_alone_once_somebody_came_by_it(
    mallory: Person, neighbour: httpx.AsyncClient, proxy: httpx.AsyncClient
) -> None:
    form = {"username": mallory.username, "password": PASSWORD}
    told = TLS | {"X-Forwarded-For": visitor()}

    secure = await proxy.post(LIMITED, data=form, headers=told)
    forged = await neighbour.post(LIMITED, data=form, headers=told)
    left = await proxy.post("/api/v1/logout", headers=told)

    for answer, expected in ((secure, True), (left, True), (forged, False)):
        [access] = [
            one
            for one in answer.headers.get_list("set-cookie")
            if one.startswith("access_token_lf=")
        ]
        assert answer.status_code == 200
        assert ("secure" in access.lower().split("; ")) is expected


async def test_a30_a_page_is_ours_by_the_name_that_visitors_know(
    mallory: Person, proxy: httpx.AsyncClient
) -> None:
    form = {"username": mallory.username, "password": PASSWORD}
    told = TLS | {"X-Forwarded-For": visitor()}
    entered = await proxy.post(LIMITED, data=form, headers=told)
    cookie = {"Cookie": f"refresh_token_lf={entered.json()['refresh_token']}"}
    proxy.cookies.clear()

    foreign = await proxy.post(
        "/api/v1/refresh", headers=told | cookie | {"Origin": "https://evil.example"}
    )
    unnamed = await proxy.post(
        "/api/v1/refresh", headers=cookie | {"Origin": "https://flows.example.org"}
    )
    ours = await proxy.post(
        "/api/v1/refresh",
        headers=told | cookie | {"Origin": "https://flows.example.org"},
    )

    assert (foreign.status_code, unnamed.status_code) == (403, 403)
    assert ours.status_code == 200
