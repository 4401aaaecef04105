"""Who asks: keys, tokens, passwords, and what is never told of them."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from langbuilder import (
    AsyncClient,
    AuthenticationError,
    Client,
    ConfigurationError,
    ConnectionFailedError,
)
from tests.api.conftest import PASSWORD, Person
from tests.langbuilder.conftest import KINDS
from tests.langbuilder.hands import Hand
from tests.servers import free_port


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Client] | type[AsyncClient]:
    return KINDS[request.param]


@pytest.fixture
async def by_password(
    kind: type[Client], address: str, grace: Person
) -> AsyncIterator[Hand]:
    hand = Hand(kind(address, username=grace.username, password=PASSWORD))
    yield hand
    await hand.close()


def spoiled(hand: Hand, **tokens: str) -> None:
    """Let the tokens that a client has be no good any more."""
    credential = hand.client._sending.credential
    credential._tokens = type(credential._tokens)(**tokens)


def tokens_of(hand: Hand) -> Any:
    return hand.client._sending.credential._tokens


async def test_a_password_signs_in_when_first_needed(
    by_password: Hand, grace: Person
) -> None:
    assert tokens_of(by_password) is None

    me = await by_password.do(by_password.client.users.me)

    assert me.username == grace.username


async def test_an_expired_token_is_renewed_once_for_all_who_ask(
    by_password: Hand,
) -> None:
    me = by_password.client.users.me
    await by_password.do(me)
    first = tokens_of(by_password)
    spoiled(by_password, access_token="expired.x.y", refresh_token=first.refresh_token)

    # Had each renewed for itself, all but one would have used a spent token.
    several = await asyncio.gather(*(by_password.do(me) for _ in range(8)))

    assert len({one.id for one in several}) == 1
    second = tokens_of(by_password)
    assert second.access_token not in {first.access_token, "expired.x.y"}
    assert second.refresh_token != first.refresh_token


async def test_where_nothing_can_be_renewed_it_signs_in_again(
    by_password: Hand,
) -> None:
    await by_password.do(by_password.client.users.me)
    spoiled(by_password, access_token="a.b.c", refresh_token="no.such.token")

    assert (await by_password.do(by_password.client.users.me)).username


async def test_a_wrong_password_says_so_and_not_which(
    kind: type[Client], address: str, grace: Person
) -> None:
    hand = Hand(kind(address, username=grace.username, password="wrong-password"))

    with pytest.raises(AuthenticationError, match="Incorrect username") as refused:
        await hand.do(hand.client.users.me)

    assert refused.value.status == 401
    assert refused.value.path == "/api/v1/login"
    assert "wrong-password" not in "".join(traceback.format_exception(refused.value))
    await hand.close()


async def test_a_token_signs_in(
    kind: type[Client], address: str, grace: Person
) -> None:
    hand = Hand(kind(address, token=grace.token))

    assert (await hand.do(hand.client.users.me)).username == grace.username

    await hand.close()


async def test_the_address_and_the_key_are_in_the_environment(
    kind: type[Client], address: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGBUILDER_URL", address)
    monkeypatch.setenv("LANGBUILDER_API_KEY", key)
    hand = Hand(kind())

    assert (await hand.do(hand.client.users.me)).username

    await hand.close()


async def test_who_gives_nothing_is_told_what_to_give(
    kind: type[Client], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANGBUILDER_API_KEY", raising=False)
    hand = Hand(kind(address))

    with pytest.raises(AuthenticationError, match="LANGBUILDER_API_KEY"):
        await hand.do(hand.client.users.me)

    await hand.close()


@pytest.mark.parametrize(
    ("url", "more"),
    [
        ("ftp://example.org", {}),
        ("example.org", {}),
        ("http://", {}),
        ("http://me:hidden-word@example.org", {}),
        ("http://example.org", {"api_key": "sk-hidden-word\nx"}),
        ("http://example.org", {"api_key": "sk-ключ-hidden-word"}),
        ("http://example.org", {"api_key": "sk-hidden-word", "token": "x"}),
        ("http://example.org", {"username": "me"}),
        ("http://example.org", {"password": "hidden-word"}),
    ],
)
def test_what_cannot_be_is_refused_at_once_and_not_repeated(
    url: str, more: dict[str, str], kind: type[Client]
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        kind(url, **more)  # type: ignore[arg-type]  # whatever it is

    assert "hidden-word" not in str(refused.value)


async def test_no_secret_is_told_by_what_people_print(kind: type[Client]) -> None:
    secrets = [
        {"api_key": "sk-hidden-word"},
        {"token": "hidden-word"},
        {"username": "me", "password": "hidden-word"},
    ]
    for secret in secrets:
        hand = Hand(kind(f"http://127.0.0.1:{free_port()}", retries=0, **secret))  # type: ignore[arg-type]  # whatever it is
        with pytest.raises(ConnectionFailedError) as failed:
            await hand.do(hand.client.users.me)
        said = "".join(traceback.format_exception(failed.value))

        assert "hidden-word" not in repr(hand.client) + said
        assert "127.0.0.1" in repr(hand.client)
        assert failed.value.sent is False
        await hand.close()


async def test_a_closed_client_says_that_it_is_closed(
    kind: type[Client], address: str, key: str
) -> None:
    hand = Hand(kind(address, api_key=key))
    await hand.close()

    with pytest.raises(ConfigurationError, match="closed"):
        await hand.do(hand.client.users.me)
