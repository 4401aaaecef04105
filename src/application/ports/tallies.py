"""How often something happened lately, counted over all servers."""

from typing import NamedTuple, Protocol

from domain.kernel import DomainError


class TalliesAwayError(DomainError):
    """How often this was tried cannot be told now; try again in a moment."""


class Tally(NamedTuple):
    """How often it happened, and in how many seconds that is forgotten."""

    times: int
    seconds: float


class Tallies(Protocol):
    """
    Counts that begin with the first time and are forgotten a while after it.

    Each call is one step for all servers: no two that count at once get the same
    number. Raise `TalliesAwayError` where the counts are elsewhere and do not answer.
    """

    async def add(self, what: str, *, within: float) -> Tally:
        """Count once more; the first time, forget it all in *within* seconds."""
        ...

    async def look(self, what: str) -> Tally:
        """Return what was counted, without counting."""
        ...

    async def forget(self, what: str) -> None:
        """Begin anew."""
        ...
