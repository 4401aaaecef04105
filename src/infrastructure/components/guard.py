"""Outgoing HTTP to an address a flow names: never into a private network unasked."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import IPPROTO_TCP, gaierror
from typing import override

import httpx

from domain.kernel import DomainError

type Address = IPv4Address | IPv6Address

_NAT64 = ip_network("64:ff9b::/96")


class PrivateAddressError(DomainError):
    """The address lies in a private network."""


class Guard:
    """Looks hosts up, and knows which of their addresses may be connected to."""

    def __init__(self, allowed_hosts: Sequence[str] = ()) -> None:
        self._allowed = tuple(host.strip().lower() for host in allowed_hosts)

    async def checked(self, host: str, port: int | None) -> str:
        """Return an address of *host*, or raise `PrivateAddressError` for any."""
        addresses = await _addresses(host, port)
        for address in addresses:
            if not self._may(host, address):
                raise PrivateAddressError(
                    f"{host}. If it is meant to be used, the operator adds it to "
                    "LANGBUILDER_ALLOWED_HOSTS"
                )
        return str(addresses[0])

    def _may(self, host: str, address: Address) -> bool:
        return is_public(address) or any(
            host.lower() == allowed or _within(address, allowed)
            for allowed in self._allowed
        )


class GuardedTransport(httpx.AsyncBaseTransport, httpx.BaseTransport):
    """
    Looks a host up, checks every address, and connects to the one it checked.

    Redirects pass through here again, so they are checked as well.
    """

    def __init__(self, allowed_hosts: Sequence[str] = ()) -> None:
        self._guard = Guard(allowed_hosts)
        self._inner = httpx.AsyncHTTPTransport()

    @override
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        address = await self._guard.checked(host, request.url.port)
        # The Host header is already set; only the connection goes to the address.
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=address)
        return await self._inner.handle_async_request(request)

    @override
    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Nothing here is asked synchronously; a way around the check is none."""
        raise PrivateAddressError(request.url.host)

    @override
    async def aclose(self) -> None:
        await self._inner.aclose()


async def _addresses(host: str, port: int | None) -> list[Address]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, proto=IPPROTO_TCP)
    except (gaierror, UnicodeError) as error:
        raise httpx.ConnectError(f"no address for {host}") from error
    return [ip_address(str(sockaddr[0]).partition("%")[0]) for *_, sockaddr in found]


def _within(address: Address, allowed: str) -> bool:
    try:
        return address in ip_network(allowed, strict=False)
    except ValueError:
        return False


def is_public(address: Address) -> bool:
    """Tell whether *address*, or the one wrapped in it, is open to everybody."""
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast
