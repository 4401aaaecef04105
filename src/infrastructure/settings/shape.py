"""
Every setting there is: its field, its default, and what the reference says of it.

They stand in chapters, each named by its class. A struct has one base, so each chapter
goes on from the one before.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import override

import msgspec

from infrastructure.settings.kinds import default_data_dir
from infrastructure.settings.running import Retaining

NOT_SHOWN = {
    *("database_url", "migration_url", "redis_url"),
    *("secret_key", "previous_secret_key", "superuser_password"),
    *("s3_access_key", "s3_secret_key"),
}


class Settings(Retaining, frozen=True, kw_only=True):
    """Every setting, read once at start."""

    @property
    def data_path(self) -> Path:
        """The data directory, absolute."""
        chosen = Path(self.data_dir).expanduser() if self.data_dir else None
        return (chosen or default_data_dir()).absolute()

    @override
    def __repr__(self) -> str:
        """Show what is set, less what is secret."""
        return f"Settings({', '.join(_shown(self))})"


def _shown(settings: Settings) -> Iterator[str]:
    for field in msgspec.structs.fields(Settings):
        value = getattr(settings, field.name)
        if value != field.default:
            hidden = field.name in NOT_SHOWN
            yield f"{field.name}={'…' if hidden else repr(value)}"
