"""Removes many blobs, some at a time."""

import asyncio
from collections.abc import Iterable
from itertools import batched
from typing import Final

from application.ports import Blobs

AT_A_TIME: Final = 16


async def delete_all(blobs: Blobs, addresses: Iterable[str]) -> None:
    """Remove the bytes at *addresses*, or raise what the first one met."""
    for few in batched(addresses, AT_A_TIME):
        ended = await asyncio.gather(
            *(blobs.delete(address) for address in few), return_exceptions=True
        )
        for error in ended:
            if error is not None:
                raise error
