"""Tokens: what they say, and what is not believed."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from infrastructure.keyring import Keyring
from infrastructure.settings import Settings
from infrastructure.tokens import TokenExpiredError, TokenInvalidError, Tokens

USER, SESSION, JTI = uuid4(), uuid4(), uuid4()
KEYRING = Keyring("a secret that only tests know, long enough")
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(KEYRING, settings, now=lambda: NOON)


def at(settings: Settings, moment: datetime) -> Tokens:
    return Tokens(KEYRING, settings, now=lambda: moment)


def test_an_access_token_says_who_and_in_which_session(tokens: Tokens) -> None:
    claims = tokens.read_access(tokens.access(USER, SESSION))

    assert (claims.user, claims.session) == (USER, SESSION)
    assert claims.expires_at == NOON + timedelta(hours=1)


def test_a_refresh_token_names_the_turn_it_is_good_for(tokens: Tokens) -> None:
    claims = tokens.read_refresh(tokens.refresh(USER, SESSION, JTI))

    assert (claims.user, claims.session, claims.id) == (USER, SESSION, JTI)
    assert claims.expires_at == NOON + timedelta(days=7)


def test_one_kind_of_token_is_not_taken_for_the_other(tokens: Tokens) -> None:
    with pytest.raises(TokenInvalidError):
        tokens.read_access(tokens.refresh(USER, SESSION, JTI))
    with pytest.raises(TokenInvalidError):
        tokens.read_refresh(tokens.access(USER, SESSION))


def test_a_token_ends_with_its_time(tokens: Tokens, settings: Settings) -> None:
    token = tokens.access(USER, SESSION)

    at(settings, NOON + timedelta(seconds=3599)).read_access(token)
    with pytest.raises(TokenExpiredError):
        at(settings, NOON + timedelta(seconds=3600)).read_access(token)


def changed(change: Callable[[dict[str, Any]], object]) -> str:
    claims = {
        "type": "access",
        "sub": str(USER),
        "sid": str(SESSION),
        "jti": str(JTI),
        "exp": int(NOON.timestamp()) + 60,
    }
    change(claims)
    return jwt.encode(claims, KEYRING.signing, algorithm="HS256")


def test_the_tokens_of_these_tests_are_good_before_they_are_changed(
    tokens: Tokens,
) -> None:
    assert tokens.read_access(changed(lambda _: None)).id == JTI


@pytest.mark.parametrize("missing", ["type", "sub", "sid", "jti", "exp"])
def test_a_token_that_leaves_something_out_is_refused(
    tokens: Tokens, missing: str
) -> None:
    with pytest.raises(TokenInvalidError):
        tokens.read_access(changed(lambda claims: claims.pop(missing)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("sub", "anna"), ("sid", "1"), ("jti", ""), ("exp", 10**20), ("type", 7)],
)
def test_a_token_that_says_nonsense_is_refused(
    tokens: Tokens, name: str, value: object
) -> None:
    with pytest.raises(TokenInvalidError):
        tokens.read_access(changed(lambda claims: claims.update({name: value})))


def test_a_token_nobody_signed_is_refused(tokens: Tokens) -> None:
    good = jwt.decode(tokens.access(USER, SESSION), options={"verify_signature": False})

    for forged in (
        jwt.encode(good, "", algorithm="none"),
        jwt.encode(good, "another key that is long enough by far", algorithm="HS256"),
        jwt.encode(good, KEYRING.signing + b"!" * 32, algorithm="HS512"),
        tokens.access(USER, SESSION)[:-3] + "AAA",
        "",
        "a.b.c",
        "\u00e9",
    ):
        with pytest.raises(TokenInvalidError):
            tokens.read_access(forged)


def test_two_tokens_are_never_the_same(tokens: Tokens) -> None:
    ids: set[UUID] = {
        tokens.read_access(tokens.access(USER, SESSION)).id for _ in range(3)
    }

    assert len(ids) == 3
