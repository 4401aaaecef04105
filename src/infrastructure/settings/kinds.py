"""The kinds of settings, and how each is documented."""

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

Seconds = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=1)]
Rate = Annotated[int, Meta(ge=0)]
Span = Annotated[int, Meta(ge=0, le=100_000)]
SameSite = Literal["lax", "strict", "none"]


def default_data_dir() -> Path:
    """Return where things are kept if nobody says so."""
    if os.geteuid() == 0:  # whose home stays closed to the database's own user
        return Path("/var/lib/langbuilder")
    return Path.home() / ".langbuilder"


def says(doc: str, example: object = None) -> Meta:
    """Document a field; a refusal shows *example* if the default will not do."""
    return Meta(description=doc, examples=None if example is None else [example])
