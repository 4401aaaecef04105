"""Pictures that models look at: of which kinds, how large, and how to know them."""

from collections.abc import Mapping
from typing import Final

LARGEST: Final = 20 * 1024 * 1024
"""Bytes of one picture."""
ENDINGS: Final[Mapping[str, str]] = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
}
"""By media type; pictures that are drawn of words (SVG) are not among them."""


def kind_of(data: bytes) -> str | None:
    """Return the media type that *data* begins like, whatever it is called."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
