"""How people prove who they are: passwords, sessions, sign-in links, uses of keys."""

import asyncio
import base64
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol, override
from uuid import UUID, uuid4, uuid5

import bcrypt
import msgspec
import psycopg

from application.gathered import Gathered
from infrastructure.keyring import Keyring
from infrastructure.postgres import Database

logger = logging.getLogger(__name__)

_ROUNDS = 12
_LIFETIME = timedelta(days=7)
_LEEWAY = timedelta(seconds=10)
_COUNTED_EVERY = 1.0  # seconds between writes of how often keys were used


class SessionEndedError(Exception):
    """The session has been revoked, has run out, or never was."""


class ReusedTokenError(SessionEndedError):
    """A refresh token was used twice, so somebody else has it: the session ends."""


class Session(msgspec.Struct, frozen=True):
    """Somebody signed in; ``refresh_jti`` names the only good refresh token."""

    id: UUID
    user: UUID
    refresh_jti: UUID
    expires_at: datetime


class KeyUse(msgspec.Struct, frozen=True):
    """How often an API key was used, and when last."""

    total: int
    last_at: datetime | None


class PasswordHashing:
    """
    Slow hashes of passwords, in threads of their own so that few run at a time.

    bcrypt reads 72 bytes and stops at a zero byte: it gets a digest instead.
    """

    def __init__(self, *, rounds: int = _ROUNDS, threads: int = 2) -> None:
        self._rounds = rounds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bcrypt")

    async def hash(self, password: str) -> str:
        """Return what to keep of *password*."""
        return await self._in_thread(self._hash, password)

    async def verify(self, password: str, hashed: str) -> bool:
        """Tell whether *hashed* was made of *password*; as slow if there is none."""
        return await self._in_thread(self._verify, password, hashed)

    def _hash(self, password: str) -> str:
        return bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._rounds)).decode()

    def _verify(self, password: str, hashed: str) -> bool:
        try:
            known = bcrypt.checkpw(
                _digest(password), (hashed or self._nobodys).encode("ascii")
            )
        except ValueError:  # not a hash
            return False
        return known and bool(hashed)

    @cached_property
    def _nobodys(self) -> str:
        return self._hash(secrets.token_hex())

    async def _in_thread[**P, T](
        self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))


class Sessions(Protocol):
    """
    Who is signed in. Each refresh token is good once; using it again ends all.

    But for a moment after an exchange the same one leads to the same next one: a page
    that is left before the answer arrives never learns of it, and asks again.
    """

    async def open(self, user: UUID) -> Session:
        """Sign *user* in."""
        ...

    async def rotate(self, session_id: UUID, jti: UUID) -> UUID:
        """
        Return the id of the next refresh token, in exchange for *jti*.

        Raise `ReusedTokenError` if that was exchanged longer ago than the leeway or
        its successor was, too, and end the session; raise `SessionEndedError` if it
        has ended.
        """
        ...

    async def alive(self, session_id: UUID) -> bool:
        """Tell whether the session has neither been revoked nor run out."""
        ...

    async def revoke(self, session_id: UUID) -> bool:
        """End a session; tell whether it went on until now."""
        ...

    async def revoke_all(self, user: UUID) -> None:
        """End every session of *user*."""
        ...


def _after(session_id: UUID, jti: UUID) -> UUID:
    """
    Return the id of the token that follows *jti* in a session.

    It need not be a secret: nobody else can sign a token that bears it.
    """
    return uuid5(session_id, jti.hex)


class PostgresSessions(Sessions):
    """Sessions in ``es.sessions``, by the database's clock."""

    _OPEN = """
        INSERT INTO es.sessions (id, user_id, refresh_jti, expires_at)
        VALUES (%(id)s, %(user)s, %(jti)s, clock_timestamp() + %(lifetime)s)
        RETURNING expires_at
    """
    _ROTATE = """
        UPDATE es.sessions
        SET refresh_jti = %(next)s, expires_at = clock_timestamp() + %(lifetime)s
        WHERE id = %(id)s AND refresh_jti = %(jti)s
          AND revoked_at IS NULL AND expires_at > clock_timestamp()
    """
    _JUST_ROTATED = """
        SELECT FROM es.sessions
        WHERE id = %(id)s AND refresh_jti = %(next)s AND revoked_at IS NULL
          AND expires_at - %(lifetime)s > clock_timestamp() - %(leeway)s
    """
    _ALIVE = """
        SELECT id FROM es.sessions
        WHERE id = ANY(%s) AND revoked_at IS NULL AND expires_at > clock_timestamp()
    """
    _REVOKE = """
        UPDATE es.sessions SET revoked_at = clock_timestamp()
        WHERE id = %(id)s AND revoked_at IS NULL AND expires_at > clock_timestamp()
    """
    _REVOKE_ALL = """
        UPDATE es.sessions SET revoked_at = clock_timestamp()
        WHERE user_id = %(user)s AND revoked_at IS NULL
    """
    _SWEEP = """
        DELETE FROM es.sessions
        WHERE expires_at < clock_timestamp() - interval '30 days'
    """

    def __init__(
        self,
        database: Database,
        *,
        lifetime: timedelta = _LIFETIME,
        leeway: timedelta = _LEEWAY,
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._leeway = leeway
        self._gathered = Gathered(self._living)

    @override
    async def open(self, user: UUID) -> Session:
        session, jti = uuid4(), uuid4()
        words = {"id": session, "user": user, "jti": jti, "lifetime": self._lifetime}
        async with self._database.pool.connection() as connection:
            await connection.execute(self._SWEEP)
            row = await (await connection.execute(self._OPEN, words)).fetchone()
        assert row is not None  # noqa: S101  RETURNING returns
        return Session(session, user, jti, row[0])

    @override
    async def rotate(self, session_id: UUID, jti: UUID) -> UUID:
        following = _after(session_id, jti)
        words = {"id": session_id, "jti": jti, "next": following}
        words |= {"lifetime": self._lifetime, "leeway": self._leeway}
        if await self._changed(self._ROTATE, words):
            return following
        if await self._changed(self._JUST_ROTATED, words):
            return following
        if await self._changed(self._REVOKE, {"id": session_id}):
            raise ReusedTokenError
        raise SessionEndedError

    @override
    async def alive(self, session_id: UUID) -> bool:
        return await self._gathered.of(session_id) is not None

    async def _living(self, sessions: Sequence[UUID]) -> dict[UUID, bool]:
        async with self._database.pool.connection() as connection:
            found = await connection.execute(self._ALIVE, [list(sessions)])
            return {session: True for (session,) in await found.fetchall()}

    @override
    async def revoke(self, session_id: UUID) -> bool:
        return bool(await self._changed(self._REVOKE, {"id": session_id}))

    @override
    async def revoke_all(self, user: UUID) -> None:
        await self._changed(self._REVOKE_ALL, {"user": user})

    async def _changed(self, statement: str, words: Mapping[str, Any]) -> int:
        async with self._database.pool.connection() as connection:
            return (await connection.execute(statement, words)).rowcount


class MemorySessions(Sessions):
    """Sessions that end with the process."""

    def __init__(
        self, *, lifetime: timedelta = _LIFETIME, leeway: timedelta = _LEEWAY
    ) -> None:
        self._lifetime = lifetime
        self._leeway = leeway
        self._rows: dict[UUID, Session] = {}

    @override
    async def open(self, user: UUID) -> Session:
        session = Session(uuid4(), user, uuid4(), _now() + self._lifetime)
        self._rows[session.id] = session
        return session

    @override
    async def rotate(self, session_id: UUID, jti: UUID) -> UUID:
        if not await self.alive(session_id):
            raise SessionEndedError
        session, following = self._rows[session_id], _after(session_id, jti)
        if session.refresh_jti == jti:
            self._rows[session_id] = Session(
                session_id, session.user, following, _now() + self._lifetime
            )
            return following
        rotated = session.expires_at - self._lifetime
        if session.refresh_jti == following and rotated > _now() - self._leeway:
            return following
        del self._rows[session_id]
        raise ReusedTokenError

    @override
    async def alive(self, session_id: UUID) -> bool:
        session = self._rows.get(session_id)
        return session is not None and session.expires_at > _now()

    @override
    async def revoke(self, session_id: UUID) -> bool:
        was_alive = await self.alive(session_id)
        self._rows.pop(session_id, None)
        return was_alive

    @override
    async def revoke_all(self, user: UUID) -> None:
        self._rows = {i: row for i, row in self._rows.items() if row.user != user}


class SignInLinks:
    """Tokens that sign somebody in once, kept as hashes in ``es.sign_in_links``."""

    _ISSUE = """
        INSERT INTO es.sign_in_links (hash, user_id, expires_at)
        VALUES (%s, %s, clock_timestamp() + %s)
    """
    _REDEEM = """
        UPDATE es.sign_in_links SET used_at = clock_timestamp()
        WHERE hash = %s AND used_at IS NULL AND expires_at > clock_timestamp()
        RETURNING user_id
    """

    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def issue(self, user: UUID, ttl: timedelta) -> str:
        """Return a new token for *user*."""
        token = secrets.token_urlsafe(32)
        words = [self._hash(token), user, ttl]
        async with self._database.pool.connection() as connection:
            await connection.execute(self._ISSUE, words)
        return token

    async def redeem(self, token: str) -> UUID | None:
        """Return whose token it is, the first time within its life."""
        async with self._database.pool.connection() as connection:
            cursor = await connection.execute(self._REDEEM, [self._hash(token)])
            row = await cursor.fetchone()
        return row[0] if row else None

    def _hash(self, token: str) -> bytes:
        return bytes.fromhex(self._keyring.bearer_hash(token))


class ApiKeyUses:
    """
    How often keys were used, written together once a second.

    A killed server forgets what it had not written: nothing hangs on it.
    """

    _ADD = """
        INSERT INTO es.api_key_uses (key_id, total_uses, last_used_at)
        SELECT * FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[])
        ON CONFLICT (key_id) DO UPDATE
        SET total_uses = api_key_uses.total_uses + excluded.total_uses,
            last_used_at = GREATEST(api_key_uses.last_used_at, excluded.last_used_at)
    """
    _TOTALS = """
        SELECT key_id, total_uses, last_used_at FROM es.api_key_uses
        WHERE key_id = ANY(%s)
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[UUID, KeyUse] = {}
        self._later: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    async def counted(self, key_id: UUID) -> None:
        """Count one use."""
        self._add({key_id: KeyUse(1, _now())})
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._write_later())

    async def totals(self, ids: Sequence[UUID]) -> dict[UUID, KeyUse]:
        """Return the uses of *ids*; keys that nobody used are left out."""
        await self._write()
        async with self._database.pool.connection() as connection:
            rows = await connection.execute(self._TOTALS, [list(ids)])
            return {key: KeyUse(total, at) async for key, total, at in rows}

    async def close(self) -> None:
        """Write what was counted."""
        self._closing.set()
        if self._later is not None:
            await self._later
        await self._write()

    async def _write_later(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_COUNTED_EVERY):
                await self._closing.wait()
        try:
            await self._write()
        except psycopg.Error:
            logger.warning("uses of API keys are kept until the database answers")

    async def _write(self) -> None:
        async with self._one_at_a_time:
            pending, self._pending = self._pending, {}
            if not pending:
                return
            # One order everywhere, so that two servers do not wait for each other.
            uses = [
                (key, pending[key].total, pending[key].last_at)
                for key in sorted(pending)
            ]
            try:
                async with self._database.pool.connection() as connection:
                    await connection.execute(
                        self._ADD, [list(c) for c in zip(*uses, strict=True)]
                    )
            except BaseException:
                self._add(pending)
                raise

    def _add(self, uses: Mapping[UUID, KeyUse]) -> None:
        for key, use in uses.items():
            known = self._pending.get(key)
            total = use.total + (known.total if known else 0)
            self._pending[key] = KeyUse(total, use.last_at)


def _digest(password: str) -> bytes:
    return base64.b64encode(sha256(password.encode("utf-8", "surrogatepass")).digest())


def _now() -> datetime:
    return datetime.now(UTC)
