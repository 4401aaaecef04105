"""Moments as people write them: a date, a time, or so long ago."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from domain.kernel import DomainError

_AGO = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2999, 1, 1, tzinfo=UTC)


class NotAMomentError(DomainError):
    """A moment is like 2026-11-25T20:15Z or 2026-11-25, or like 2h or 3d ago."""


def moment(words: str) -> datetime:
    """Return the moment that *words* mean; without an offset it is UTC."""
    said = words.strip()
    try:
        if ago := _AGO.fullmatch(said):
            found = datetime.now(UTC) - int(ago[1]) * _UNITS[ago[2]]
        else:
            found = datetime.fromisoformat(said)
            found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NotAMomentError(words) from None
    if not _EARLIEST <= found <= _LATEST:
        raise NotAMomentError(words)
    return found
