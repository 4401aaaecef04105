"""How long read tables show what happened, and who keeps whole months of it."""

from datetime import datetime, timedelta
from typing import Self

import msgspec

from infrastructure.settings import Settings


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept for how long; ``None`` is for ever."""

    messages: timedelta | None = None
    transactions: timedelta | None = None
    builds: timedelta | None = None
    runs: timedelta | None = None
    files: timedelta | None = None
    sessions: timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Take the times from *settings*."""
        return cls(
            messages=_days(settings.retention_messages_days),
            transactions=_days(settings.retention_transactions_days),
            builds=_days(settings.retention_builds_days),
            runs=_days(settings.retention_runs_days),
            files=_hours(settings.retention_files_hours),
            sessions=_hours(settings.retention_sessions_hours),
        )


FOR_EVER = Keeping()


def before(now: datetime, kept: timedelta | None) -> datetime | None:
    """Return the moment before which what was *kept* so long has outlived its time."""
    return None if kept is None else now - kept


def _days(number: int) -> timedelta | None:
    return timedelta(days=number) if number else None


def _hours(number: int) -> timedelta | None:
    return timedelta(hours=number) if number else None
