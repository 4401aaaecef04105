"""How an event becomes bytes, and how the oldest bytes become today's event."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec

from application.ports.refusals import UnreadableEventError, UnstorableError
from domain.catalogue import EVENT_TYPES, tag_of
from domain.kernel import Event, Json
from infrastructure.event_store.fitness import loose_fields, refuse_unfit

type Upcaster = Callable[[dict[str, Json]], dict[str, Json]]

UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}
"""By tag and the schema version it lifts: ``(tag, 1)`` makes a 1 into a 2."""


class UnknownTagError(UnreadableEventError):
    """The log holds a kind of event that this server does not know."""


class BrokenUpcastersError(Exception):
    """An event's upcasters must lead from version 1 to today's without a hole."""


class TagTakenError(Exception):
    """Two kinds of event have the same tag."""


class UnreadableEvent(Event, frozen=True, kw_only=True, tag="store.unreadable"):
    """
    Stands in a read for an event that could not be read; it is never stored.

    Readers of the log get it instead of an error, so that one such event cannot
    stop them: they decide to park it or to stop.
    """

    event_tag: str
    schema_version: int
    reason: str


class ErasedEvent(Event, frozen=True, kw_only=True, tag="store.erased"):
    """
    Stands in a read for an event of somebody who was erased; it is never stored.

    That it happened, when and in which stream, is all that is left of it.
    """

    event_tag: str
    subject: UUID


class Encoded(NamedTuple):
    """An event as bytes, not sealed yet."""

    tag: str
    schema_version: int
    state: bytes


class MsgspecMapper:
    """Events to JSON and back, by permanent tag, with decoders compiled once."""

    def __init__(
        self,
        types: Sequence[type[Event]] = EVENT_TYPES,
        upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    ) -> None:
        self._encoder = msgspec.json.Encoder()
        self._upcasters = upcasters
        self._tags = {kind: tag_of(kind) for kind in types}
        self._decoders = {
            tag: msgspec.json.Decoder(kind) for kind, tag in self._tags.items()
        }
        self._versions = {tag: _current(tag, upcasters) for tag in self._decoders}
        self._loose = {kind: loose_fields(kind) for kind in types}
        if len(self._decoders) < len(self._tags):
            raise TagTakenError(sorted(self._tags.values()))
        if strange := {tag for tag, _ in upcasters} - self._versions.keys():
            raise BrokenUpcastersError(*sorted(strange))

    def encode(self, event: Event) -> Encoded:
        """Return *event* as its tag, schema version and JSON, or refuse it."""
        tag = self._tags[type(event)]
        if loose := self._loose[type(event)]:
            refuse_unfit(event, loose)
        try:
            state = self._encoder.encode(event)
        except UnicodeEncodeError as error:
            raise UnstorableError("a text holds half a character") from error
        return Encoded(tag, self._versions[tag], state)

    def decode(self, tag: str, schema_version: int, state: bytes) -> Event:
        """Return the event, or raise `UnknownTagError` or `UnreadableEventError`."""
        current = self._versions.get(tag)
        if current is None or not 1 <= schema_version <= current:
            raise UnknownTagError(f"{tag} version {schema_version}")
        try:
            if schema_version < current:
                state = self._lifted(tag, schema_version, state)
            return self._decoders[tag].decode(state)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnreadableEventError(f"{tag}: {error}") from error
        except RecursionError as error:
            raise UnreadableEventError(f"{tag}: it is nested too deeply") from error

    def read(self, tag: str, schema_version: int, state: bytes) -> Event:
        """Return the event, or an `UnreadableEvent` in its place."""
        try:
            return self.decode(tag, schema_version, state)
        except UnreadableEventError as error:
            return UnreadableEvent(
                event_tag=tag, schema_version=schema_version, reason=str(error)
            )

    def _lifted(self, tag: str, schema_version: int, state: bytes) -> bytes:
        document = msgspec.json.decode(state)
        version = schema_version
        try:
            for version in range(schema_version, self._versions[tag]):
                document = self._upcasters[tag, version](document)
            return self._encoder.encode(document)
        except Exception as error:
            # Whatever it is, this event is at fault and no other. Only its kind is
            # told, for its words may be somebody's own.
            said = f"{tag}: upcaster {version} failed with {type(error).__name__}"
            raise UnreadableEventError(said) from error


def _current(tag: str, upcasters: Mapping[tuple[str, int], Upcaster]) -> int:
    lifted = sorted(version for of, version in upcasters if of == tag)
    if lifted != list(range(1, len(lifted) + 1)):
        raise BrokenUpcastersError(tag)
    return len(lifted) + 1
