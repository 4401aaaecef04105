"""Images within messages of OpenAI's protocol: ``data:`` addresses, and no others."""

import binascii
import re
from base64 import b64decode
from typing import Final

import msgspec

from api.openai.problems import Unsupported
from application.pictures import Picture
from domain.file.pictures import ENDINGS, LARGEST, kind_of

MOST: Final = 10
"""Images of one message."""
_DATA: Final = re.compile(r"data:([a-z]+/[a-z.+-]+)(?:;[a-z0-9=-]+)*;base64,", re.ASCII)
_MEGABYTE: Final = 1024 * 1024


class ImageUrl(msgspec.Struct, frozen=True, kw_only=True):
    """Where an image is; ``detail`` and the like are the model's own matter."""

    url: str


def picture_of(address: str | ImageUrl | None, where: str) -> Picture:
    """Return the image that lies in *address* itself; refuse what is none."""
    url = address.url if isinstance(address, ImageUrl) else address or ""
    found = _DATA.match(url)
    if found is None:
        raise _refused(
            where,
            "An image comes as data:image/png;base64,…: nothing is fetched for a "
            "message, and file ids are not known here",
        )
    if found[1] not in ENDINGS:
        raise _refused(where, f"Images are {', '.join(ENDINGS)}, and not {found[1]}")
    # Four letters are three bytes: what is too large is not decoded.
    if (len(url) - found.end()) // 4 * 3 > LARGEST + 2:
        raise _too_large(where)
    try:
        data = b64decode(url[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise _refused(where, "The image is not Base64") from None
    if len(data) > LARGEST:
        raise _too_large(where)
    if kind_of(data) != found[1]:
        raise _refused(where, f"The image is not what it says: {found[1]}")
    return Picture(found[1], data)


def too_many(where: str) -> Unsupported:
    """Return the refusal of a message with more images than it may have."""
    return _refused(where, f"A message has {MOST} images at most")


def _too_large(where: str) -> Unsupported:
    return _refused(where, f"An image has {LARGEST // _MEGABYTE} MB at most")


def _refused(where: str, said: str) -> Unsupported:
    return Unsupported(where, said, code="invalid_image")
