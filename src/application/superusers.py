"""Superusers: there is always one who may look after the others."""

from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID, uuid4

from application.ports import Attached, Claim, Claims
from application.standing import Standing
from domain.kernel import DomainError

LEAVING: Final = ("installation", "superuser-leaves")
"""A claim that passes on whenever a superuser leaves, so that none leave at once."""


class LastSuperuserError(DomainError):
    """The last active superuser stays one."""


class KnownSuperusers(Protocol):
    """Who was a superuser a moment ago."""

    async def superusers(self) -> Sequence[UUID]: ...


class Accounts(Protocol):
    """What people may now."""

    async def get(self, user: UUID, /) -> Standing | None: ...


class Superusers:
    """Lets a superuser leave, be it by demotion, deactivation or erasure."""

    def __init__(
        self, claims: Claims, *, known: KnownSuperusers, accounts: Accounts
    ) -> None:
        self._claims = claims
        self._known = known
        self._accounts = accounts

    async def leaving(self, user: UUID) -> Attached:
        """
        Return what the save takes along that makes *user* no active superuser.

        Someone else's that comes first makes it fail with `ClaimTakenError`: then
        decide again. Raise `LastSuperuserError` where nobody else is left.
        """
        # Before looking who is left: who leaves after this look takes it from us.
        before = await self._claims.holder(*LEAVING)
        if not await self._another(user):
            raise LastSuperuserError
        return Attached(
            claims=(Claim(*LEAVING, uuid4()),),
            released=(Claim(*LEAVING, before),) if before else (),
        )

    async def _another(self, user: UUID) -> bool:
        for one in await self._known.superusers():
            if one == user:
                continue
            standing = await self._accounts.get(one)
            if standing is not None and standing.active and standing.superuser:
                return True
        return False
