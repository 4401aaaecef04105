"""Names of files: what is left of one that came from outside, and what it tells."""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final

from domain.kernel import DomainError

LONGEST: Final = 200
"""Bytes of a name in UTF-8, so that a time and a number still fit in 255."""
_LONGEST_ENDING: Final = 20
_MEANT_BY_SYSTEMS: Final = re.compile(r'[<>:"|?*/\\]')
_DEVICES: Final = re.compile(r"(?i:con|prn|aux|nul|com\d|lpt\d)")
OCTETS: Final = "application/octet-stream"
MEDIA_TYPES: Final = {
    "txt": "text/plain",
    "md": "text/markdown",
    "mdx": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "css": "text/css",
    "xml": "application/xml",
    "json": "application/json",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
}
"""By ending; whatever is not listed is bytes and nothing else."""


class NamelessFileError(DomainError):
    """A file has a name."""


def clean(raw: str) -> str:
    """
    Return the last part of *raw* without what means something to a file system.

    What nobody sees goes too: control characters, and those that turn the direction
    of writing. Raise `NamelessFileError` if nothing is left.
    """
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", raw))[-1]
    seen = "".join(map(_harmless, last))
    name = re.sub(r"\s+", " ", seen).strip(" .").lstrip("-. ")
    if not name:
        raise NamelessFileError
    stem, ending = parts(name)
    if _DEVICES.fullmatch(stem):
        stem = f"_{stem}"
    room = LONGEST - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip(" .") + ending


def _harmless(letter: str) -> str:
    if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        return ""
    meant = unicodedata.normalize("NFKC", letter)
    return "_" if _MEANT_BY_SYSTEMS.search(meant) else letter


def parts(name: str) -> tuple[str, str]:
    """Return *name* before its ending, and the ending with its full stop."""
    stem, stop, ending = name.rpartition(".")
    if not stem or not ending or len(ending.encode()) > _LONGEST_ENDING:
        return name, ""
    return stem, stop + ending


def ending_of(name: str) -> str:
    """Return the ending of *name* in small letters, without the full stop."""
    return parts(name)[1].removeprefix(".").lower()


def media_type_of(name: str) -> str:
    """Return what a file of this name holds, as far as its ending tells."""
    return MEDIA_TYPES.get(ending_of(name), OCTETS)


def stamped(name: str, at: datetime) -> str:
    """Return *name* after the time of its upload, as files of flows are called."""
    return f"{at.astimezone(UTC):%Y-%m-%d_%H-%M-%S}_{name}"
