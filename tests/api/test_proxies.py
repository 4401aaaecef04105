"""Whom a request comes from: the nearest hop that is not one of our own proxies."""

from typing import Any

import pytest

from api.proxies import Proxies, counted_as

OURS = Proxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])
VISITOR = "203.0.113.9"


def seen(
    *headers: tuple[str, str], peer: str = "127.0.0.1", kind: str = "http"
) -> tuple[str, str, str]:
    """Return client, scheme and host of a request, once it was seen through."""
    plain = "ws" if kind == "websocket" else "http"
    scope: Any = {
        "type": kind,
        "client": (peer, 4711),
        "scheme": plain,
        "headers": [
            (b"host", b"inside:7860"),
            *((name.lower().encode(), value.encode()) for name, value in headers),
        ],
    }
    OURS.see_through(scope)
    [host] = [value for name, value in scope["headers"] if name == b"host"]
    return scope["client"][0], scope["scheme"], host.decode()


@pytest.mark.parametrize(
    "told",
    [
        "203.0.113.9",
        "203.0.113.9:51234",
        "1.1.1.1, 203.0.113.9",
        "127.0.0.1, 203.0.113.9, 10.1.2.3",
        "nonsense,203.0.113.9 ,10.1.2.3,  fd00::1",
        "::ffff:203.0.113.9",
        ", ".join(["6.6.6.6"] * 5_000 + ["203.0.113.9"]),
    ],
)
def test_it_is_the_last_address_that_is_not_ours(told: str) -> None:
    assert seen(("X-Forwarded-For", told))[0] == VISITOR


def test_many_lines_are_one_list() -> None:
    two = (("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", VISITOR))

    assert seen(*two)[0] == VISITOR


@pytest.mark.parametrize("peer", ["203.0.113.1", "127.0.0.2", "::1", "11.0.0.1"])
def test_nobody_else_is_believed(peer: str) -> None:
    told = seen(
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=10.0.0.1;proto=https;host=evil.example"),
        peer=peer,
    )

    assert told == (peer, "http", "inside:7860")


@pytest.mark.parametrize("peer", ["::ffff:127.0.0.1", "10.9.9.9", "fd12::1"])
def test_a_proxy_of_ours_is_known_however_it_is_written(peer: str) -> None:
    assert seen(("X-Forwarded-For", VISITOR), peer=peer)[0] == VISITOR


@pytest.mark.parametrize("told", ["", "unknown", "_hidden", "1.2.3", "::1::", "[", ","])
def test_what_is_no_address_leads_no_further(told: str) -> None:
    assert seen(("X-Forwarded-For", told))[0] == "127.0.0.1"
    assert seen(("X-Forwarded-For", f"{VISITOR}, {told}, 10.0.0.7"))[0] == "10.0.0.7"


def test_the_newer_header_says_the_same() -> None:
    told = 'for=6.6.6.6, For="203.0.113.9:80";Proto=https;host=a.example , for=10.0.0.7'

    assert seen(("Forwarded", told)) == (VISITOR, "https", "a.example")
    assert seen(("Forwarded", 'for="[2001:db8::7]:4711"'))[0] == "2001:db8::7"


def test_two_headers_that_contradict_each_other_say_nothing() -> None:
    xff = ("X-Forwarded-For", VISITOR), ("X-Forwarded-Proto", "https")

    assert seen(*xff, ("Forwarded", "for=6.6.6.6")) == (
        "127.0.0.1",
        "http",
        "inside:7860",
    )
    assert seen(*xff, ("Forwarded", f"for={VISITOR}"))[:2] == (VISITOR, "https")


@pytest.mark.parametrize(
    ("kind", "told", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "HTTPS", "https"),
        ("http", "wss", "https"),
        ("websocket", "https", "wss"),
        ("websocket", "http", "ws"),
        ("http", "javascript", "http"),
        ("http", "", "http"),
    ],
)
def test_the_scheme_is_the_visitors(kind: str, told: str, scheme: str) -> None:
    assert seen(("X-Forwarded-Proto", told), kind=kind)[1] == scheme


@pytest.mark.parametrize(
    ("told", "host"),
    [
        ("flows.example.org", "flows.example.org"),
        ("flows.example.org:8443", "flows.example.org:8443"),
        ("[2001:db8::7]:8443", "[2001:db8::7]:8443"),
        ("evil.example/x", "inside:7860"),
        ("a@b", "inside:7860"),
        ("a b", "inside:7860"),
        ("", "inside:7860"),
    ],
)
def test_the_host_is_the_one_that_was_asked(told: str, host: str) -> None:
    assert seen(("X-Forwarded-Host", told))[2] == host


def test_scheme_and_host_are_those_of_the_hop_that_is_believed() -> None:
    told = seen(
        ("X-Forwarded-For", f"6.6.6.6, {VISITOR}, 10.0.0.7"),
        ("X-Forwarded-Proto", "http, https, http"),
        ("X-Forwarded-Host", "evil.example, a.example, inner.example"),
    )

    assert told == (VISITOR, "https", "a.example")


def test_limits_count_all_that_one_subscriber_has() -> None:
    assert counted_as("203.0.113.9") == "203.0.113.9"
    assert counted_as("::ffff:203.0.113.9") == "203.0.113.9"
    assert counted_as("2001:db8:1:2:3::4") == counted_as("2001:db8:1:2:ffff::9")
    assert counted_as("2001:db8:1:2::1") != counted_as("2001:db8:1:3::1")
    assert counted_as("") == ""
