"""Whose voice a flow gets: the providers, and the keys that its owner has for them."""

from typing import Final

import msgspec

from application.execution.variables import VariableValues
from application.permissions import person
from application.ports import Actor
from application.ports.voices import Choir, Mouth, NamedVoice, Realtime
from domain.kernel import DomainError

OPENAI: Final = "OPENAI_API_KEY"
ELEVENLABS: Final = "ELEVENLABS_API_KEY"


class NoVoiceKeyError(DomainError):
    """A variable with the key of a voice provider is missing."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Voices(msgspec.Struct, frozen=True, kw_only=True):
    """
    Who listens and speaks, and with whose key.

    A key is the person's variable of that name, or else the server's environment,
    as it is for the models in flows.
    """

    realtime: Realtime
    mouth: Mouth
    choir: Choir
    variables: VariableValues
    transcription_model: str

    async def key(self, actor: Actor, name: str) -> str:
        """Return *actor*'s key for a provider, or raise `NoVoiceKeyError`."""
        found = (await self.variables.named(person(actor), [name])).get(name)
        if found is None or not found.value:
            raise NoVoiceKeyError(name)
        return found.value

    async def named(self, actor: Actor) -> list[NamedVoice]:
        """Return the voices that *actor* may choose among."""
        return await self.choir.voices(await self.key(actor, ELEVENLABS))
