"""Signals within one process."""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import override

from application.ports import Signals
from infrastructure.signals.ear import Ear

LONGEST_TAIL = 10_000
_MOST_CHANNELS = 10_000


class _Channel:
    def __init__(self) -> None:
        self.tail: deque[bytes] = deque(maxlen=LONGEST_TAIL)
        self.ears: set[Ear] = set()


class MemorySignals(Signals):
    """
    Channels in this process.

    Of those that nobody forgets and nobody hears, the oldest go first.
    """

    def __init__(self) -> None:
        self._channels: OrderedDict[str, _Channel] = OrderedDict()

    @override
    async def say(self, channel: str, word: bytes) -> None:
        said = self._channel(channel)
        said.tail.append(word)
        for ear in said.ears:
            ear.hear(word)

    @override
    def listen(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._listening(channel)

    @override
    async def forget(self, channel: str) -> None:
        if known := self._channels.get(channel):
            known.tail.clear()
            if not known.ears:
                del self._channels[channel]

    @override
    async def reachable(self) -> bool:
        return True

    @asynccontextmanager
    async def _listening(self, channel: str) -> AsyncIterator[AsyncIterator[bytes]]:
        heard, ear = self._channel(channel), Ear()
        for word in heard.tail:
            ear.hear(word)
        heard.ears.add(ear)
        try:
            yield ear
        finally:
            heard.ears.discard(ear)
            if not heard.ears and not heard.tail:
                self._channels.pop(channel, None)

    def _channel(self, name: str) -> _Channel:
        known = self._channels.setdefault(name, _Channel())
        self._channels.move_to_end(name)
        if len(self._channels) > _MOST_CHANNELS:
            silent = (n for n, c in self._channels.items() if not c.ears and n != name)
            if oldest := next(silent, None):
                del self._channels[oldest]
        return known
