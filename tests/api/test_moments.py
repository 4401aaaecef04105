"""What people write for a moment, and what they cannot mean."""

from datetime import UTC, datetime, timedelta

import pytest

from api.moments import NotAMomentError, moment


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("2026-11-25T20:15:30Z", datetime(2026, 11, 25, 20, 15, 30, tzinfo=UTC)),
        ("2026-11-25T20:15", datetime(2026, 11, 25, 20, 15, tzinfo=UTC)),
        ("2026-11-25 20:15+02:00", datetime(2026, 11, 25, 18, 15, tzinfo=UTC)),
        (" 2026-11-25 ", datetime(2026, 11, 25, tzinfo=UTC)),
        ("1970-01-01", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_date_or_a_time(words: str, meant: datetime) -> None:
    assert moment(words) == meant


@pytest.mark.parametrize(
    ("words", "ago"),
    [
        ("0s", timedelta(0)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        ("3 d", timedelta(days=3)),
        ("2w", timedelta(days=14)),
    ],
)
def test_a_moment_is_so_long_ago(words: str, ago: timedelta) -> None:
    before = datetime.now(UTC)
    meant = moment(words)

    assert before - ago <= meant <= datetime.now(UTC) - ago
    assert meant.tzinfo is UTC


@pytest.mark.parametrize(
    "words",
    [
        *("", "yesterday", "2", "h", "-2h", "2.5h", "2y", "1969-12-31", "2999-01-02"),
        *("2026-13-01", "2026-11-25T25:00", "NaN", "999999w", "9999999s", "٣h", "\x00"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "1e5s", "2h3m"),
    ],
)
def test_what_is_no_moment_is_refused(words: str) -> None:
    with pytest.raises(NotAMomentError):
        moment(words)
