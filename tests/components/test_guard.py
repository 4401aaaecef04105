"""A flow's address leads into no private network."""

from ipaddress import ip_address

import httpx
import pytest

from infrastructure.components.guard import (
    GuardedTransport,
    PrivateAddressError,
    is_public,
)
from tests.fake_openai import FakeModels


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:7f00:1::1",
    ],
)
def test_a_private_address_is_known_in_every_dress(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_open(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "localhost",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
    ],
)
async def test_a_private_host_is_not_asked(host: str) -> None:
    async with FakeModels() as fake, _client() as client:
        with pytest.raises((PrivateAddressError, httpx.ConnectError)):
            await client.get(f"http://{host}:{fake.port}/")
        assert fake.calls == []


@pytest.mark.parametrize("allowed", ["localhost", "127.0.0.0/8"])
async def test_what_the_operator_allows_is_asked_by_its_own_name(allowed: str) -> None:
    async with FakeModels() as fake, _client(allowed, "::1") as client:
        answer = await client.get(f"http://localhost:{fake.port}/nothing")
        assert answer.status_code == 404
        assert fake.calls[0].headers["host"] == f"localhost:{fake.port}"


async def test_a_host_without_an_address_cannot_be_reached() -> None:
    async with _client() as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://nowhere.invalid/")


def test_there_is_no_way_around_the_check() -> None:
    with (
        httpx.Client(transport=GuardedTransport()) as client,
        pytest.raises(PrivateAddressError),
    ):
        client.get("http://1.1.1.1/")


def _client(*allowed: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=GuardedTransport(allowed))
