"""What operators may limit stands on the page of limits."""

import re

from infrastructure.settings import SETTINGS
from scripts.reference_limits import limits

LIMITS = re.compile(r"LANGBUILDER_(MAX|RATE_LIMIT)_|_QUOTA_")


def test_every_setting_that_limits_is_told_of() -> None:
    page = limits()
    named = [one.env for one in SETTINGS if LIMITS.search(one.env)]

    assert len(named) > 8
    assert not [name for name in named if f"`{name}`" not in page]
