"""Who is signed in, and which refresh token comes next."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, override
from uuid import UUID, uuid4, uuid5

import msgspec

from application.gathered import Gathered
from infrastructure.postgres import Database

logger = logging.getLogger(__name__)


_LIFETIME = timedelta(days=7)
_LEEWAY = timedelta(seconds=10)


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
        words = {
            "id": session_id,
            "jti": jti,
            "next": following,
            "lifetime": self._lifetime,
            "leeway": self._leeway,
        }
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


def _now() -> datetime:
    return datetime.now(UTC)
