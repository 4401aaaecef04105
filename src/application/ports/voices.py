"""Who listens and speaks for a flow: other people's models, in our words."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from domain.kernel import DomainError, Json


class VoiceAwayError(DomainError):
    """The voice provider cannot be reached."""


class VoiceKeyRefusedError(DomainError):
    """The voice provider refuses this key."""


class VoiceRefusedError(DomainError):
    """The voice provider refuses this."""


class Call(Protocol):
    """A conversation with a realtime model; events are as its provider sends them."""

    async def say(self, event: Mapping[str, Json]) -> None: ...

    def hear(self) -> AsyncIterator[dict[str, Json]]:
        """Yield what the model says, until it hangs up."""
        ...


class Realtime(Protocol):
    """Models that listen and speak while they are spoken to."""

    def talking(self, key: str) -> AbstractAsyncContextManager[Call]:
        """
        Open a conversation in which the model answers by itself.

        Raise `VoiceAwayError` or `VoiceKeyRefusedError`.
        """
        ...

    def transcribing(self, key: str) -> AbstractAsyncContextManager[Call]:
        """Open one in which it only writes down what it hears."""
        ...


class NamedVoice(msgspec.Struct, frozen=True):
    """A voice that can be chosen."""

    voice_id: str
    name: str


class Mouth(Protocol):
    """Reads a text aloud."""

    def speak(self, text: str, *, voice: str, key: str) -> AsyncIterator[bytes]:
        """
        Yield sound, as it comes: 16-bit samples, 24,000 a second, one channel.

        Raise `VoiceAwayError`, `VoiceKeyRefusedError` or `VoiceRefusedError`.
        """
        ...


class Choir(Mouth, Protocol):
    """A mouth with many voices."""

    async def voices(self, key: str) -> list[NamedVoice]: ...
