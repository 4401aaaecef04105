"""How much one person may ask for a minute, by what it costs."""

from typing import Final, Literal, NamedTuple

import msgspec

from application.ports.tallies import Tallies, TalliesAwayError
from domain.kernel import DomainError

type Kind = Literal["sign_in", "runs", "public_runs", "uploads", "other"]

MINUTE: Final = 60.0
CLOSED_WHEN_LOST: Final[frozenset[Kind]] = frozenset({"sign_in"})
"""What nobody may do while it cannot be counted."""


class TooManyRequestsError(DomainError):
    """Too many requests; try again later."""

    def __init__(self, left: "Left") -> None:
        super().__init__()
        self.left = left
        self.seconds = left.seconds


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Requests a minute, of one user or, of whom nobody knows, one address; 0: any."""

    sign_in: int
    runs: int
    public_runs: int
    uploads: int
    other: int


class Left(NamedTuple):
    """What is left of a minute that began with its first request."""

    limit: int
    remaining: int
    seconds: int


class Limiter:
    """
    Keeps the rates.

    Where they cannot be counted all goes on, but for signing in.
    """

    def __init__(self, tallies: Tallies, rates: Rates) -> None:
        self._tallies = tallies
        self._rates = rates

    async def spend(self, kind: Kind, who: str) -> Left | None:
        """Count a request of *who*; raise `TooManyRequestsError` beyond the rate."""
        limit: int = getattr(self._rates, kind)
        if not limit:
            return None
        try:
            tally = await self._tallies.add(f"rate:{kind}:{who}", within=MINUTE)
        except TalliesAwayError:
            if kind in CLOSED_WHEN_LOST:
                raise
            return None
        left = Left(limit, max(0, limit - tally.times), max(1, round(tally.seconds)))
        if tally.times > limit:
            raise TooManyRequestsError(left)
        return left
