"""Signed tokens: who somebody is, in which session, and until when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import jwt
import msgspec

from infrastructure.keyring import Keyring
from infrastructure.settings import Settings

_ALGORITHM = "HS256"

type Kind = Literal["access", "refresh"]


class TokenError(Exception):
    """A token does not let anybody in."""


class TokenExpiredError(TokenError):
    """The token was good, and its time is over."""


class TokenInvalidError(TokenError):
    """The token was not made here, was changed, or is of another kind."""


class AccessClaims(msgspec.Struct, frozen=True):
    """What an access token says."""

    user: UUID
    session: UUID
    id: UUID
    expires_at: datetime


class RefreshClaims(msgspec.Struct, frozen=True):
    """What a refresh token says; ``id`` is good for one rotation of its session."""

    user: UUID
    session: UUID
    id: UUID
    expires_at: datetime


class Tokens:
    """Makes and reads tokens; whether their session still lives is asked elsewhere."""

    def __init__(
        self,
        keyring: Keyring,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._key = keyring.signing
        self._access = timedelta(seconds=settings.access_token_expire_seconds)
        self._refresh = timedelta(seconds=settings.refresh_token_expire_seconds)
        self._now = now

    def access(self, user_id: UUID, session_id: UUID) -> str:
        """Return a token for requests of *user_id* in a session."""
        return self._signed("access", user_id, session_id, uuid4(), self._access)

    def refresh(self, user_id: UUID, session_id: UUID, jti: UUID) -> str:
        """Return a token that gets new ones, once: *jti* is the session's newest."""
        return self._signed("refresh", user_id, session_id, jti, self._refresh)

    def read_access(self, token: str) -> AccessClaims:
        """Return what an access token says, or raise `TokenError`."""
        return AccessClaims(*self._read("access", token))

    def read_refresh(self, token: str) -> RefreshClaims:
        """Return what a refresh token says, or raise `TokenError`."""
        return RefreshClaims(*self._read("refresh", token))

    def _signed(
        self, kind: Kind, user: UUID, session: UUID, jti: UUID, lasting: timedelta
    ) -> str:
        now = self._now()
        claims = {
            "type": kind,
            "sub": str(user),
            "sid": str(session),
            "jti": str(jti),
            "iat": int(now.timestamp()),
            "exp": int((now + lasting).timestamp()),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def _read(self, kind: Kind, token: str) -> tuple[UUID, UUID, UUID, datetime]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                options={
                    "require": ["type", "sub", "sid", "jti", "exp"],
                    "verify_exp": False,  # ours follows the injected clock
                    "verify_iat": False,
                },
            )
            words = tuple(UUID(claims[name]) for name in ("sub", "sid", "jti"))
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError) as error:
            raise TokenInvalidError from error
        if claims["type"] != kind:
            raise TokenInvalidError
        if expires_at <= self._now():
            raise TokenExpiredError
        user, session, jti = words
        return user, session, jti, expires_at
