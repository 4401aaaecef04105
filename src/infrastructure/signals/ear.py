"""One listener's end of a channel."""

import asyncio
from typing import Self

MOST_WAITING = 10_000
"""Words kept for a listener that does not come to read; later ones are lost to it."""


class Ear:
    """Words in the order in which they were heard, for one reader, without end."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)

    def hear(self, word: bytes) -> None:
        """Keep *word* until it is read; a signal may be lost, a speaker never waits."""
        if not self._waiting.full():
            self._waiting.put_nowait(word)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await self._waiting.get()
