"""The shapes every context is built from: facts, and things that decide."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal
from uuid import UUID

import msgspec

type Log = Literal["core", "runs"]
"""The two orders of events; nothing may rely on an order across them."""

type Json = Any
"""A JSON value as msgspec decodes it: dict, list, str, int, float, bool or None."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="$tag"):
    """
    A fact: something that has happened and cannot be refused.

    Subclasses are named in the past tense and carry an explicit ``tag``. The tag
    is what the store remembers, so a class may move or be renamed; a tag may not.

    ``impersonal`` events say nothing of a person, and must be readable after one was
    erased: they are stored plain, whoever the stream belongs to.
    """

    impersonal: ClassVar[bool] = False


class ContentRef(msgspec.Struct, frozen=True):
    """
    Names what a person wrote or a model answered, which lies outside the event.

    ``digest`` is a keyed hash (hex) of the plain bytes and ``size`` their number,
    so history verifies after the content itself has been deleted.
    """

    id: UUID
    digest: str
    size: int


class DomainError(Exception):
    """A command was understood, and the domain said no."""

    @property
    def sentence(self) -> str:
        """What a person may read: the particular, or the class's own sentence."""
        said = "; ".join(str(argument) for argument in self.args)
        first = (self.__doc__ or type(self).__name__).strip().splitlines()[0]
        return f"{first.rstrip('.')}: {said}" if said else first

    @property
    def slug(self) -> str:
        """The stable code of this refusal: the class name less ``Error``."""
        return type(self).__name__.removesuffix("Error")


class Aggregate[E: Event](ABC):
    """
    A consistency boundary that decides by recording events.

    State changes in ``_apply`` and nowhere else, so replaying a stream and
    executing a command cannot disagree.
    """

    log: ClassVar[Log] = "core"

    def __init__(self, aggregate_id: UUID) -> None:
        self.id = aggregate_id
        self.version = 0
        self._recorded: list[E] = []

    @property
    def subject(self) -> UUID | None:
        """The person whom this is about: with their data key its events are sealed."""
        return None

    @property
    def stored_version(self) -> int:
        """The version last stored: what the next save expects."""
        return self.version - len(self._recorded)

    @property
    def recorded(self) -> tuple[E, ...]:
        """The events decided and not yet stored."""
        return tuple(self._recorded)

    def replay(self, *events: E) -> None:
        """Advance past *events* that are already stored."""
        for event in events:
            self._apply(event)
            self.version += 1

    def collect(self) -> list[E]:
        """Hand over the events not yet stored, and forget them."""
        recorded, self._recorded = self._recorded, []
        return recorded

    def settle(self, count: int) -> None:
        """Forget the first *count* recorded events, for they are stored now."""
        del self._recorded[:count]

    def _record(self, event: E) -> None:
        self.replay(event)
        self._recorded.append(event)

    @abstractmethod
    def _apply(self, event: E) -> None: ...
