"""Icons of flows that clients name as ``:rocket:``, turned into the sign itself."""

import re
from typing import Final

import emoji
import msgspec

from api.problems import Refusal
from application.flows import NewFlow

_NAMED: Final = re.compile(r":[^:\s]+:")


def with_emoji(new: NewFlow) -> NewFlow:
    """Return *new* with the emoji that its icon names; other icons stay."""
    if new.icon is None or not _NAMED.fullmatch(new.icon):
        return new
    icon = emoji.emojize(new.icon, language="alias")
    if icon == new.icon:
        raise Refusal(422, f"Invalid emoji. {new.icon} is not a valid emoji.")
    return msgspec.structs.replace(new, icon=icon)
