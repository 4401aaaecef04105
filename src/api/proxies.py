"""Whom a request comes from, and at which address, where trusted proxies say so."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import (
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, NamedTuple, override

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import (
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Receive,
    Scope,
    Send,
)

type Address = IPv4Address | IPv6Address

MOST_HOPS: Final = 32
"""Proxies that are looked at; nobody has more, and a forged list may."""
SUBSCRIBER: Final = 64
"""Bits of an IPv6 address that a subscriber cannot choose."""

_PASSED_ON: Final = frozenset(
    {
        *("forwarded", "via", "x-real-ip", "x-client-ip", "x-cluster-client-ip"),
        *("true-client-ip", "cf-connecting-ip", "fastly-client-ip", "fly-client-ip"),
    }
)
_X_FORWARDED: Final = "x-forwarded-"
_HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_PAIR: Final = re.compile(r'([A-Za-z0-9-]+)=(?:"([^"\\,;]*)"|([^"\\,;\s]+))')
_PLAIN: Final = ("http", "ws")
_TLS: Final = ("https", "wss")
_SCHEMES: Final = {"http": _PLAIN, "ws": _PLAIN, "https": _TLS, "wss": _TLS}


class Hop(NamedTuple):
    """What one proxy says of the request it was sent; empty where it says nothing."""

    sender: str = ""
    scheme: str = ""
    host: str = ""


class Seen(NamedTuple):
    """Whom a request comes from, and how they addressed it, as far as it is known."""

    address: Address | None
    hop: Hop


class Proxies:
    """
    The proxies that are believed; whatever others say of a request is ignored.

    ``X-Forwarded-For``, ``-Proto`` and ``-Host`` or ``Forwarded`` (RFC 7239) are
    understood. A proxy writes one of them and passes the other on as it came: where
    they contradict each other, neither is believed.
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._networks = [ip_network(one) for one in trusted]

    def trust(self, host: str) -> bool:
        """Tell whether what *host* says of others is believed."""
        address = _address(host)
        return address is not None and self._trust(address)

    def see_through(self, scope: Scope) -> None:
        """Let *scope* say what a trusted proxy does of client, scheme and host."""
        client = scope.get("client")
        if not self._networks or client is None or not self.trust(client[0]):
            return
        seen = self._seen(list(_fields(scope)))
        if seen is None:
            return
        if seen.address is not None:
            scope["client"] = (str(seen.address), 0)
        if schemes := _SCHEMES.get(seen.hop.scheme):
            scope["scheme"] = schemes[scope["type"] == ScopeType.WEBSOCKET]
        if _HOST.fullmatch(seen.hop.host):
            others = [one for one in scope["headers"] if one[0] != b"host"]
            scope["headers"] = [(b"host", seen.hop.host.encode()), *others]

    def _seen(self, fields: list[tuple[str, str]]) -> Seen | None:
        both = [self._walked(hops) for hops in _told(fields)]
        if len({seen.address for seen in both}) != 1:
            return None  # nothing was said, or two things
        return both[0]

    def _walked(self, hops: Sequence[Hop]) -> Seen:
        """Walk back from the last proxy to the first address that is not trusted."""
        known: Address | None = None
        reached = hops[-1] if hops else Hop()
        for hop in reversed(hops):
            address = _address(hop.sender)
            if address is None:
                break
            known, reached = address, hop
            if not self._trust(address):
                break
        return Seen(known, reached)

    def _trust(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


class SeeingThrough(Litestar):
    """An application that looks who asks before anything else does."""

    @override
    async def __call__(
        self,
        scope: Scope | LifeSpanScope,
        receive: Receive | LifeSpanReceive,
        send: Send | LifeSpanSend,
    ) -> None:
        """Answer a request, as its proxies saw it."""
        if scope["type"] != "lifespan":
            proxies: Proxies = self.state.proxies
            proxies.see_through(scope)
        await super().__call__(scope, receive, send)


def passed_on(headers: Mapping[str, str]) -> bool:
    """Tell whether a request was passed on by somebody, trusted or not."""
    return any(n in _PASSED_ON or n.startswith(_X_FORWARDED) for n in headers)


def counted_as(host: str) -> str:
    """Return what limits count an address as: of IPv6, all that one subscriber has."""
    address = _address(host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), SUBSCRIBER), strict=False))
    return str(address or host)


def _address(text: str) -> Address | None:
    """Read an address with or without its port."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _fields(scope: Scope) -> Iterator[tuple[str, str]]:
    for name, value in scope["headers"]:
        known = name.decode("latin-1").lower()
        if known == "forwarded" or known.startswith(_X_FORWARDED):
            yield known, value.decode("latin-1")


def _told(fields: Iterable[tuple[str, str]]) -> Iterator[list[Hop]]:
    """Yield what is said of the hops, first to last, in either of the two ways."""
    said: dict[str, list[str]] = {}
    for name, value in fields:
        said.setdefault(name, []).extend(value.split(","))
    if any(f"{_X_FORWARDED}{what}" in said for what in ("for", "proto", "host")):
        yield _hops(
            *(
                said.get(f"{_X_FORWARDED}{what}", [])
                for what in ("for", "proto", "host")
            )
        )
    if elements := said.get("forwarded"):
        yield [_element(one) for one in elements[-MOST_HOPS:]]


def _hops(
    senders: Sequence[str], schemes: Sequence[str], hosts: Sequence[str]
) -> list[Hop]:
    """Join lists that each proxy appended to, or wrote anew."""

    def back(words: Sequence[str], steps: int) -> str:
        return words[-min(steps, len(words))].strip() if words else ""

    most = min(max(len(senders), 1), MOST_HOPS)
    return [
        Hop(
            senders[-steps] if senders else "",
            back(schemes, steps).lower(),
            back(hosts, steps),
        )
        for steps in range(most, 0, -1)
    ]


def _element(text: str) -> Hop:
    pairs = {
        name.lower(): quoted or plain for name, quoted, plain in _PAIR.findall(text)
    }
    return Hop(
        pairs.get("for", ""), pairs.get("proto", "").lower(), pairs.get("host", "")
    )
