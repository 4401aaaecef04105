"""How often somebody may fail to sign in, before the door is closed for a while."""

import hmac
import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Final

from application.ports.tallies import Tallies
from domain.kernel import DomainError

FAILURES: Final = 10
WINDOW: Final = timedelta(minutes=5)


class TooManyFailuresError(DomainError):
    """Too many failed attempts to sign in; try again later."""

    def __init__(self, seconds: int) -> None:
        super().__init__()
        self.seconds = seconds


class Failures:
    """
    Failed attempts per name and address, on all servers together.

    Ten within five minutes close the door until five minutes after the first of them.
    The same wrong password counts once on a server: a front end that tries by itself
    what was refused locks nobody out, and a guesser gains nothing by it.
    Where the counts do not answer, nobody is let in: `TalliesAwayError`.
    """

    def __init__(self, tallies: Tallies) -> None:
        self._tallies = tallies
        self._key = secrets.token_bytes(32)  # so that no count tells what was guessed

    async def check(self, username: str, address: str) -> None:
        """Refuse while the door is closed."""
        tally = await self._tallies.look(_key(username, address))
        if tally.times >= FAILURES:
            raise TooManyFailuresError(max(1, int(tally.seconds) + 1))

    async def note(
        self, username: str, address: str, *, guess: str | None = None
    ) -> bool:
        """Count one more, unless *guess* was counted; tell if that closes the door."""
        within = WINDOW.total_seconds()
        if guess is not None:
            known = await self._tallies.add(
                self._guessed(username, address, guess), within=within
            )
            if known.times > 1:
                return False
        tally = await self._tallies.add(_key(username, address), within=within)
        return tally.times == FAILURES

    async def forget(self, username: str, address: str) -> None:
        """Begin anew, for the right password was given."""
        await self._tallies.forget(_key(username, address))

    def _guessed(self, username: str, address: str, guess: str) -> str:
        text = f"{username}\n{address}\n{guess}".encode(errors="surrogatepass")
        return f"guesses:{hmac.digest(self._key, text, 'sha256').hex()}"


def _key(username: str, address: str) -> str:
    # No names where the counts are kept, and no lengths but this one.
    digest = sha256(f"{username}\n{address}".encode()).hexdigest()
    return f"failures:{digest}"
