"""How people prove who they are: passwords, sign-in links, uses of keys."""

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
from uuid import UUID

import bcrypt
import msgspec
import psycopg

from infrastructure.keyring import Keyring
from infrastructure.postgres import Database

logger = logging.getLogger(__name__)

ROUNDS = 12
"""How slow a new hash is: each round more doubles it."""
_COUNTED_EVERY = 1.0  # seconds between writes of how often keys were used


class KeyUse(msgspec.Struct, frozen=True):
    """How often an API key was used, and when last."""

    total: int
    last_at: datetime | None


class PasswordHashing:
    """
    Slow hashes of passwords, in threads of their own so that few run at a time.

    bcrypt reads 72 bytes and stops at a zero byte: it gets a digest instead.
    """

    def __init__(self, *, rounds: int | None = None, threads: int = 2) -> None:
        self._rounds = ROUNDS if rounds is None else rounds
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
