"""Credentials of the infrastructure, refusing in the application's words."""

from typing import override
from uuid import UUID

from application.sessions import (
    BadRefreshTokenError,
    Mint,
    NotSignedInError,
    OpenedSessions,
    ReusedRefreshTokenError,
    Session,
    TokenClaims,
    TokenExpiredError,
)
from infrastructure import sessions as signed_in, tokens


class SignedTokens(Mint):
    """Tokens that are made and read by the installation's key."""

    def __init__(self, made: tokens.Tokens) -> None:
        self._made = made

    @override
    def access(self, user: UUID, session: UUID, /) -> str:
        return self._made.access(user, session)

    @override
    def refresh(self, user: UUID, session: UUID, jti: UUID, /) -> str:
        return self._made.refresh(user, session, jti)

    @override
    def read_access(self, token: str, /) -> TokenClaims:
        try:
            return self._made.read_access(token)
        except tokens.TokenExpiredError as expired:
            raise TokenExpiredError from expired
        except tokens.TokenError as refused:
            raise NotSignedInError from refused

    @override
    def read_refresh(self, token: str, /) -> TokenClaims:
        try:
            return self._made.read_refresh(token)
        except tokens.TokenError as refused:
            raise NotSignedInError from refused


class KeptSessions(OpenedSessions):
    """Sessions where the infrastructure keeps them."""

    def __init__(self, kept: signed_in.Sessions) -> None:
        self._kept = kept

    @override
    async def open(self, user: UUID, /) -> Session:
        return await self._kept.open(user)

    @override
    async def rotate(self, session: UUID, jti: UUID, /) -> UUID:
        try:
            return await self._kept.rotate(session, jti)
        except signed_in.ReusedTokenError as reused:
            raise ReusedRefreshTokenError from reused
        except signed_in.SessionEndedError as ended:
            raise BadRefreshTokenError from ended

    @override
    async def revoke(self, session: UUID, /) -> bool:
        return await self._kept.revoke(session)

    @override
    async def revoke_all(self, user: UUID, /) -> None:
        await self._kept.revoke_all(user)

    @override
    async def alive(self, session: UUID, /) -> bool:
        return await self._kept.alive(session)
