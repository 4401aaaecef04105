"""What sessions must do, in memory and in PostgreSQL; and one-time links and counts."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import pytest

from infrastructure.credentials import (
    ApiKeyUses,
    PasswordHashing,
    SignInLinks,
)
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database
from infrastructure.sessions import (
    MemorySessions,
    PostgresSessions,
    ReusedTokenError,
    SessionEndedError,
    Sessions,
)

ANNA, BERT = uuid4(), uuid4()


def sessions_of(
    request: pytest.FixtureRequest,
    *,
    lifetime: timedelta = timedelta(days=7),
    leeway: timedelta = timedelta(),
) -> Sessions:
    if request.param == "memory":
        return MemorySessions(lifetime=lifetime, leeway=leeway)
    database = request.getfixturevalue("database")
    return PostgresSessions(database, lifetime=lifetime, leeway=leeway)


BOTH = ["memory", pytest.param("postgres", marks=pytest.mark.server)]


@pytest.fixture(params=BOTH)
def sessions(request: pytest.FixtureRequest) -> Sessions:
    return sessions_of(request)


@pytest.fixture(params=BOTH)
def lenient_sessions(request: pytest.FixtureRequest) -> Sessions:
    return sessions_of(request, leeway=timedelta(minutes=5))


@pytest.fixture(params=BOTH)
def short_sessions(request: pytest.FixtureRequest) -> Sessions:
    return sessions_of(request, lifetime=timedelta(milliseconds=50))


async def test_who_signs_in_has_a_session_that_lives(sessions: Sessions) -> None:
    session = await sessions.open(ANNA)

    assert session.user == ANNA
    assert await sessions.alive(session.id)
    assert not await sessions.alive(uuid4())


async def test_each_refresh_token_is_exchanged_for_the_next(sessions: Sessions) -> None:
    session = await sessions.open(ANNA)

    second = await sessions.rotate(session.id, session.refresh_jti)
    third = await sessions.rotate(session.id, second)

    assert len({session.refresh_jti, second, third}) == 3
    assert await sessions.alive(session.id)


async def test_a_refresh_token_used_twice_ends_the_session(sessions: Sessions) -> None:
    session = await sessions.open(ANNA)
    second = await sessions.rotate(session.id, session.refresh_jti)

    with pytest.raises(ReusedTokenError):
        await sessions.rotate(session.id, session.refresh_jti)

    assert not await sessions.alive(session.id)
    with pytest.raises(SessionEndedError):
        await sessions.rotate(session.id, second)


async def test_of_two_exchanges_at_once_one_wins(sessions: Sessions) -> None:
    session = await sessions.open(ANNA)

    results = await asyncio.gather(
        *(sessions.rotate(session.id, session.refresh_jti) for _ in range(2)),
        return_exceptions=True,
    )

    assert sum(isinstance(result, ReusedTokenError) for result in results) == 1


async def test_who_never_heard_the_answer_may_ask_again_for_a_moment(
    lenient_sessions: Sessions,
) -> None:
    sessions = lenient_sessions
    session = await sessions.open(ANNA)

    answers = await asyncio.gather(
        *(sessions.rotate(session.id, session.refresh_jti) for _ in range(3))
    )
    third = await sessions.rotate(session.id, answers[0])

    assert len(set(answers)) == 1
    assert third not in {session.refresh_jti, *answers}
    with pytest.raises(ReusedTokenError):  # its successor was exchanged, too
        await sessions.rotate(session.id, session.refresh_jti)
    assert not await sessions.alive(session.id)


async def test_a_revoked_session_is_not_renewed_by_the_token_before(
    lenient_sessions: Sessions,
) -> None:
    session = await lenient_sessions.open(ANNA)
    await lenient_sessions.rotate(session.id, session.refresh_jti)
    await lenient_sessions.revoke(session.id)

    with pytest.raises(SessionEndedError):
        await lenient_sessions.rotate(session.id, session.refresh_jti)


async def test_a_revoked_session_is_over(sessions: Sessions) -> None:
    mine, other = await sessions.open(ANNA), await sessions.open(ANNA)

    assert await sessions.revoke(mine.id)
    assert not await sessions.revoke(mine.id)

    assert not await sessions.alive(mine.id)
    assert await sessions.alive(other.id)
    with pytest.raises(SessionEndedError):
        await sessions.rotate(mine.id, mine.refresh_jti)


async def test_all_sessions_of_one_user_can_be_ended(sessions: Sessions) -> None:
    annas = [await sessions.open(ANNA) for _ in range(3)]
    berts = await sessions.open(BERT)

    await sessions.revoke_all(ANNA)

    assert [await sessions.alive(session.id) for session in annas] == [False] * 3
    assert await sessions.alive(berts.id)


async def test_a_session_runs_out(short_sessions: Sessions) -> None:
    session = await short_sessions.open(ANNA)

    await asyncio.sleep(0.06)

    assert not await short_sessions.alive(session.id)
    with pytest.raises(SessionEndedError) as told:
        await short_sessions.rotate(session.id, session.refresh_jti)
    assert not isinstance(told.value, ReusedTokenError)


@pytest.mark.server
async def test_a_sign_in_link_works_once_on_any_server(database: Database) -> None:
    keyring = Keyring("a secret that only tests know, long enough")
    links, elsewhere = SignInLinks(database, keyring), SignInLinks(database, keyring)

    token = await links.issue(ANNA, timedelta(hours=1))

    tries = await asyncio.gather(*(elsewhere.redeem(token) for _ in range(5)))
    assert (tries.count(ANNA), tries.count(None)) == (1, 4)
    assert await links.redeem(await links.issue(BERT, timedelta(0))) is None
    for nonsense in ("", "x" * 10_000, "\ud800"):
        assert await links.redeem(nonsense) is None


@pytest.mark.server
async def test_uses_of_keys_are_counted_across_servers(database: Database) -> None:
    one, other = ApiKeyUses(database), ApiKeyUses(database)
    used, unused = uuid4(), uuid4()
    for _ in range(5):
        await one.counted(used)
        await other.counted(used)
    await other.close()

    totals = await one.totals([used, unused])

    assert totals[used].total == 10
    assert totals[used].last_at is not None
    assert unused not in totals
    await one.close()


async def test_a_password_matches_only_itself() -> None:
    hashing = PasswordHashing()
    for password in ("secret", "", "p\u00e4ss\x00word", "\ud800", "long" * 100):
        hashed = await hashing.hash(password)

        assert await hashing.verify(password, hashed)
        assert not await hashing.verify(password + "x", hashed)


async def test_no_password_matches_where_there_is_none() -> None:
    hashing = PasswordHashing()

    for not_a_hash in ("", "plain", "$2b$"):
        assert not await hashing.verify("secret", not_a_hash)


async def test_the_same_password_is_never_hashed_alike() -> None:
    hashing = PasswordHashing()

    assert await hashing.hash("secret") != await hashing.hash("secret")


def test_hashes_are_slow_where_no_test_has_made_them_quick() -> None:
    code = "from infrastructure.credentials import ROUNDS; print(ROUNDS)"

    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert int(told.stdout) >= 12
