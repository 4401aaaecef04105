"""Signing in and out, and who is behind a token or a key."""

import contextlib
from datetime import UTC, datetime, timedelta
from typing import Literal, Protocol
from uuid import UUID, uuid4

import msgspec

from application.api_keys import ApiKeys
from application.commands import Turns, deciding_again
from application.environment import Environment
from application.failures import WINDOW, Failures
from application.ports import (
    SYSTEM,
    Actor,
    Cause,
    Claims,
    EventStore,
    StreamNotFoundError,
)
from application.ports.refusals import SubjectErasedError
from application.standing import Standing
from application.users import LONGEST_NAME, Passwords
from domain.kernel import DomainError
from domain.user.user import Means, User, UserErasedError


class WrongCredentialsError(DomainError):
    """Incorrect username or password."""


class WaitingForApprovalError(DomainError):
    """Waiting for approval."""


class InactiveUserError(DomainError):
    """Inactive user."""


class NotSignedInError(DomainError):
    """Could not validate credentials."""


class TokenExpiredError(NotSignedInError):
    """Token has expired."""


class UserGoneError(NotSignedInError):
    """User not found or is inactive."""


class WrongKeyError(DomainError):
    """Invalid or missing API key."""


class KeyExpiredError(WrongKeyError):
    """This API key has expired."""


class KeyDisabledError(WrongKeyError):
    """This API key is disabled."""


class BadRefreshTokenError(DomainError):
    """Invalid refresh token."""


class ReusedRefreshTokenError(BadRefreshTokenError):
    """This refresh token was used before, so its session has ended."""


class SpentLinkError(DomainError):
    """This sign-in link was used already, or has expired."""


class AutoLoginOffError(DomainError):
    """Auto login is disabled. Please enable it in the settings."""


class Session(Protocol):
    """A sign-in that lasts until it is revoked or forgotten."""

    @property
    def id(self) -> UUID: ...

    @property
    def refresh_jti(self) -> UUID: ...


class OpenedSessions(Protocol):
    """Where sessions are kept."""

    async def open(self, user: UUID, /) -> Session: ...

    async def rotate(self, session: UUID, jti: UUID, /) -> UUID:
        """
        Return the id of the next refresh token; else `BadRefreshTokenError`.

        One that was exchanged before ends the session: `ReusedRefreshTokenError`.
        """
        ...

    async def revoke(self, session: UUID, /) -> bool:
        """End a session; tell whether it went on until now."""
        ...

    async def revoke_all(self, user: UUID, /) -> None: ...

    async def alive(self, session: UUID, /) -> bool: ...


class Links(Protocol):
    """One-time links to sign in with."""

    async def issue(self, user: UUID, ttl: timedelta, /) -> str: ...

    async def redeem(self, token: str, /) -> UUID | None: ...


class TokenClaims(Protocol):
    """What a token says: who, in which session, and the token's own id."""

    @property
    def user(self) -> UUID: ...

    @property
    def session(self) -> UUID: ...

    @property
    def id(self) -> UUID: ...


class Mint(Protocol):
    """Makes and reads signed tokens."""

    def access(self, user: UUID, session: UUID, /) -> str: ...

    def refresh(self, user: UUID, session: UUID, jti: UUID, /) -> str: ...

    def read_access(self, token: str, /) -> TokenClaims:
        """Return what an access token says, or raise `NotSignedInError`."""
        ...

    def read_refresh(self, token: str, /) -> TokenClaims:
        """Return what a refresh token says, or raise `NotSignedInError`."""
        ...


class Uses(Protocol):
    """How often keys were used."""

    async def counted(self, key: UUID, /) -> None: ...


class Accounts(Protocol):
    """The users there are, and what they may now."""

    async def get(self, user: UUID, /) -> Standing | None: ...


class Pass(msgspec.Struct, frozen=True):
    """What lets a client in: an access token, and one to renew it with."""

    user: UUID
    access_token: str
    refresh_token: str | None


class Sessions:
    """Let people in and out, and tell who is behind a credential."""

    def __init__(
        self,
        store: EventStore,
        *,
        claims: Claims,
        accounts: Accounts,
        passwords: Passwords,
        opened: OpenedSessions,
        links: Links,
        mint: Mint,
        api_keys: ApiKeys,
        uses: Uses,
        environment: Environment,
        failures: Failures,
    ) -> None:
        self._store = store
        self._claims = claims
        self._accounts = accounts
        self._passwords = passwords
        self._opened = opened
        self._links = links
        self._mint = mint
        self._api_keys = api_keys
        self._uses = uses
        self._environment = environment
        self._failures = failures
        self._turns: Turns[tuple[str, str]] = Turns()

    async def sign_in(self, username: str, password: str, *, address: str) -> Pass:
        """Let somebody in who knows the password."""
        name = username[: LONGEST_NAME + 1]  # longer ones are nobody's, and remembered
        # One at a time: guesses that are made at once would all be let through.
        async with self._turns.of((name, address)):
            user_id = await self._recognised(name, password, address)
        return await self._let_in(user_id, "password")

    async def _recognised(self, username: str, password: str, address: str) -> UUID:
        await self._failures.check(username, address)
        user_id = await self._claims.holder("username", username)
        if not await self._passwords.matches(user_id, password) or user_id is None:
            await self._failed(user_id, username, address, guess=password)
            raise WrongCredentialsError
        await self._failures.forget(username, address)
        return user_id

    async def sign_in_by_link(self, token: str) -> Pass:
        """Let somebody in who was given a link; it works once."""
        user_id = await self._links.redeem(token)
        if user_id is None:
            raise SpentLinkError
        return await self._let_in(user_id, "link")

    async def sign_in_unasked(self, user_id: UUID) -> Pass:
        """Let anybody in, where the operator wants that, without a way to renew."""
        entered = await self._let_in(user_id, "auto_login")
        return msgspec.structs.replace(entered, refresh_token=None)

    async def link_for(self, user_id: UUID, *, ttl: timedelta) -> str:
        """Make a one-time link for *user_id*."""
        return await self._links.issue(user_id, ttl)

    async def renew(self, refresh_token: str) -> Pass:
        """Exchange a refresh token; one that was used before ends its session."""
        try:
            said = self._mint.read_refresh(refresh_token)
        except DomainError as refused:
            raise BadRefreshTokenError from refused
        try:
            jti = await self._opened.rotate(said.session, said.id)
        except ReusedRefreshTokenError as reused:
            await self._put_out(said, why="token_reused")
            raise BadRefreshTokenError from reused
        account = await self._accounts.get(said.user)
        if account is None or not account.active:
            await self._opened.revoke(said.session)
            raise BadRefreshTokenError
        return self._pass(said.user, said.session, jti)

    async def sign_out(self, token: str | None, refresh_token: str | None) -> None:
        """End the session of whichever token is still good."""
        for read, given in (
            (self._mint.read_access, token),
            (self._mint.read_refresh, refresh_token),
        ):
            with contextlib.suppress(NotSignedInError):
                if given and await self._opened.revoke((said := read(given)).session):
                    await self._put_out(said, why="asked")

    async def bearer(self, token: str) -> Actor:
        """Return who bears an access token."""
        said = self._mint.read_access(token)
        account = await self._account(said.user)  # first: it ended their sessions, too
        if not await self._opened.alive(said.session):
            raise NotSignedInError
        return Actor(
            said.user, superuser=account.superuser, credential=str(said.session)
        )

    async def key(self, key: str, *, again: bool = False) -> Actor:
        """Return who bears an API key; to look *again* is not another use of it."""
        found = await self._api_keys.bearer(key)
        if found is None:
            raise WrongKeyError
        key_id, user_id = found
        account = await self._account(user_id)
        held = account.api_keys.get(key_id)
        if held is None:
            raise WrongKeyError
        if not held.active:
            raise KeyDisabledError
        if held.expires_at is not None and held.expires_at <= datetime.now(UTC):
            raise KeyExpiredError
        if not again:
            await self._uses.counted(key_id)
        return Actor(
            user_id,
            superuser=account.superuser,
            credential=str(key_id),
            by_key=True,
            scopes=None if held.scopes is None else frozenset(held.scopes),
            expires_at=held.expires_at,
        )

    async def _account(self, user_id: UUID) -> Standing:
        account = await self._accounts.get(user_id)
        if account is None or not account.active:
            raise UserGoneError
        return account

    async def _let_in(self, user_id: UUID, means: Means) -> Pass:
        user = await self._store.load(User, user_id)
        if not user.active:
            raise InactiveUserError if user.last_sign_in else WaitingForApprovalError
        user.sign_in(means)
        # Two sign-ins at a time are none of each other's business.
        await self._store.save(cause=_caused_by(user_id), anywhere=(user,))
        if user.superuser:
            await deciding_again(lambda: self._bring(user_id))
        session = await self._opened.open(user_id)
        return self._pass(user_id, session.id, session.refresh_jti)

    async def _bring(self, user_id: UUID) -> None:
        """Let a superuser's variables follow the server's environment."""
        user = await self._store.load(User, user_id)
        attached = await self._environment.given(user)
        await self._store.save(user, cause=_caused_by(user_id), attached=attached)

    async def _put_out(
        self, said: TokenClaims, *, why: Literal["asked", "token_reused"]
    ) -> None:
        """Put on record that a session has ended, for whatever it still has open."""
        try:
            user = await self._store.load(User, said.user)
            user.sign_out(said.session, why=why)
            await self._store.save(cause=_caused_by(said.user), anywhere=(user,))
        except (StreamNotFoundError, SubjectErasedError, UserErasedError):
            return  # gone, and all that they had open with them

    async def _failed(
        self, user_id: UUID | None, username: str, address: str, *, guess: str
    ) -> None:
        closed = await self._failures.note(username, address, guess=guess)
        if not closed or user_id is None:
            return
        user = await self._store.load(User, user_id)
        user.lock_sign_in(until=datetime.now(UTC) + WINDOW)
        await self._store.save(cause=_caused_by(None), anywhere=(user,))

    def _pass(self, user: UUID, session: UUID, jti: UUID) -> Pass:
        return Pass(
            user=user,
            access_token=self._mint.access(user, session),
            refresh_token=self._mint.refresh(user, session, jti),
        )


def _caused_by(user: UUID | None) -> Cause:
    return Cause(
        actor=Actor(user) if user else SYSTEM,
        command_id=uuid4(),
        correlation_id=uuid4(),
    )
