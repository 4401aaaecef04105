"""Events on their way into the log and out of it: sealed for the person they are of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from application.ports import EventTooLargeError
from application.ports.refusals import UnreadableEventError
from domain.kernel import Aggregate, Event
from infrastructure.event_store.mapper import (
    ErasedEvent,
    MsgspecMapper,
    UnreadableEvent,
)
from infrastructure.keyring import DataKey, SealBrokenError
from infrastructure.subject_keys import SubjectKeys

MAX_EVENT_BYTES = 16 * 1024 * 1024


class Stored(NamedTuple):
    """An event as it is stored: with a subject, its state is sealed."""

    tag: str
    schema_version: int
    state: bytes
    subject: UUID | None = None


type Keys = Mapping[UUID, DataKey | None]
"""What opens whose events: None for the erased, nothing for those who had no key."""

NO_KEYS: Keys = {}


class KeylessStoreError(Exception):
    """A store without keys can neither seal nor open what belongs to somebody."""


class SealingMapper:
    """
    A mapper that seals states with their subject's key, and opens them.

    Each is bound to its stream, tag and schema version: moved elsewhere, it does not
    open. Without *keys* it serves logs in which nothing belongs to anybody.
    """

    def __init__(
        self, mapper: MsgspecMapper | None = None, keys: SubjectKeys | None = None
    ) -> None:
        self.mapper = mapper or MsgspecMapper()
        self._keys = keys

    async def keys_to_seal(self, aggregates: Iterable[Aggregate[Any]]) -> Keys:
        """
        Return the keys for what *aggregates* recorded, made where there was none.

        Nobody is asked for the keys of those who are known here already.
        """
        keys: dict[UUID, DataKey | None] = {}
        for aggregate in aggregates:
            if all(event.impersonal for event in aggregate.recorded):
                continue
            subject = aggregate.subject
            if subject is not None and subject not in keys:
                if self._keys is None:
                    raise KeylessStoreError(subject)
                known = self._keys.known(subject)
                keys[subject] = known or await self._keys.of(subject)
        return keys

    async def keys_to_open(self, subjects: Iterable[UUID | None]) -> Keys:
        """Return the keys of *subjects* in one read, or in none where all are known."""
        wanted = {subject for subject in subjects if subject is not None}
        if not wanted:
            return NO_KEYS
        if self._keys is None:
            raise KeylessStoreError(wanted)
        return await self._keys.of_each(wanted)

    def encoded(self, aggregate: Aggregate[Any], keys: Keys) -> tuple[Stored, ...]:
        """Return what *aggregate* recorded as stored; plain if there are no *keys*."""
        encode, stream, recorded = self.mapper.encode, aggregate.id, aggregate.recorded
        # An aggregate of somebody erased does not know any more whose it is.
        personal = keys and not all(event.impersonal for event in recorded)
        subject = aggregate.subject if personal else None
        key = None if subject is None else keys.get(subject)
        every: list[Stored] = []
        for event in recorded:
            plain = Stored(*encode(event))
            if len(plain.state) > MAX_EVENT_BYTES:
                raise EventTooLargeError(f"{plain.tag}, {len(plain.state)} bytes")
            if key is None or subject is None or event.impersonal:
                every.append(plain)
            else:
                every.append(sealed(plain, key, stream=stream, subject=subject))
        return tuple(every)

    def decode(self, stream: UUID, stored: Stored, keys: Keys) -> Event:
        """Return the event, or an `ErasedEvent`, or raise `UnreadableEventError`."""
        tag, schema_version, _, subject = stored
        state = opened(stored, keys, stream=stream)
        if state is None and subject is not None:
            return ErasedEvent(event_tag=tag, subject=subject)
        return self.mapper.decode(tag, schema_version, state or b"")

    def read(self, stream: UUID, stored: Stored, keys: Keys) -> Event:
        """Return the event, or what stands for it: erased, or unreadable."""
        try:
            return self.decode(stream, stored, keys)
        except UnreadableEventError as error:
            return UnreadableEvent(
                event_tag=stored.tag,
                schema_version=stored.schema_version,
                reason=str(error),
            )

    async def replay(
        self, aggregate: Aggregate[Any], rows: Sequence[tuple[Any, ...]]
    ) -> bool:
        """
        Advance *aggregate* past what is stored; tell whether it is still anybody's.

        *rows* are the fields of `Stored`, the subject as bytes, and a version each.
        What somebody else said in its stream and was erased is passed over.
        """
        subjects = {row[3] for row in rows}
        keys = await self.keys_to_open(UUID(bytes=one) for one in subjects if one)
        decode, opener = self.mapper.decode, _Opener(aggregate.id, keys)
        events: list[Event] = []
        for tag, of, state, subject, _ in rows:
            plain = state if subject is None else opener.state(tag, of, state, subject)
            if plain is not None:
                events.append(decode(tag, of, plain))
            elif not events and not aggregate.version:
                return False
            else:
                aggregate.replay(*events)
                events.clear()
                if subject == getattr(aggregate.subject, "bytes", None):
                    return False
        aggregate.replay(*events)
        aggregate.version = rows[-1][4]  # a stream may have lost some
        return True


class _Opener:
    """
    Opens the states of one stream.

    It finds the key once for as long as the subject, given as bytes, stays the same.
    """

    def __init__(self, stream: UUID, keys: Keys) -> None:
        self._stream = stream
        self._keys = keys
        self._last: bytes | None = None
        self._key: DataKey | None = None
        self._bonds: dict[tuple[str, int], bytes] = {}

    def state(
        self, tag: str, schema_version: int, state: bytes, subject: bytes
    ) -> bytes | None:
        """Return the plain state, None of the erased, or `UnreadableEventError`."""
        if subject != self._last:
            self._key = _key_of(UUID(bytes=subject), self._keys, tag)
            self._last, self._bonds = subject, {}
        if (key := self._key) is None:
            return None
        of = (tag, schema_version)
        bond = self._bonds.get(of)
        if bond is None:
            bond = self._bonds[of] = _bond(self._stream, tag, schema_version, subject)
        return _unsealed(state, key, tag, bond=bond)


def replayable(stored: Stored, version: int) -> tuple[Any, ...]:
    """Return *stored* as a row that `SealingMapper.replay` takes."""
    tag, schema_version, state, subject = stored
    return tag, schema_version, state, subject and subject.bytes, version


def sealed(plain: Stored, key: DataKey, *, stream: UUID, subject: UUID) -> Stored:
    """Return *plain* as it is stored for *subject*."""
    bond = _bond(stream, plain.tag, plain.schema_version, subject.bytes)
    state = key.seal(plain.state, bound_to=bond)
    return Stored(plain.tag, plain.schema_version, state, subject)


def opened(stored: Stored, keys: Keys, *, stream: UUID) -> bytes | None:
    """Return the plain state, None of the erased, or raise `UnreadableEventError`."""
    tag, schema_version, state, subject = stored
    if subject is None:
        return state
    if (key := _key_of(subject, keys, tag)) is None:
        return None
    return _unsealed(
        state, key, tag, bond=_bond(stream, tag, schema_version, subject.bytes)
    )


def _unsealed(state: bytes, key: DataKey, tag: str, *, bond: bytes) -> bytes | None:
    try:
        return key.open(state, bound_to=bond)
    except SealBrokenError as broken:
        raise UnreadableEventError(f"{tag}: {broken}") from broken


def _key_of(subject: UUID, keys: Keys, tag: str) -> DataKey | None:
    try:
        return keys[subject]
    except KeyError:
        # Not erased, for that leaves a mark: whoever reads must not pass it over.
        raise UnreadableEventError(f"{tag}: no key of {subject}") from None


def _bond(stream: UUID, tag: str, schema_version: int, subject: bytes) -> bytes:
    of = subject + stream.bytes
    return b"event%b%d:%b" % (of, schema_version, tag.encode())
