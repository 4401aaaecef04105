"""Events as people look for them, and what any stream was at any time."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from application.ports import Claims, EventStore, Recorded, StreamNotFoundError
from application.ports.browsing import Browser, Found, Wanted
from domain.aggregates import AGGREGATES, context_of
from domain.catalogue import tag_of
from domain.kernel import Aggregate, DomainError, Json, Log

LARGEST_PAGE: Final = 500
LOGS: Final[tuple[Log, ...]] = ("core", "runs")
SYSTEM_ID: Final = UUID(int=0)
SHORTEST_ID: Final = 4
"""How many digits of a stream's id must be given."""

_TAG = re.compile(r"[a-z][a-z_]{0,60}\.[a-z_]{0,60}")
_DIGITS = re.compile(r"[0-9a-f]{0,32}")
_STAND_IN = "store"
_NOT_STATE = frozenset({"id", "version"})


class NotATagError(DomainError):
    """A tag is like flow.renamed, and flow. means all that begin so."""


class NotAStreamError(DomainError):
    """A stream is named by its id, or by the first four digits of it or more."""


class AmbiguousStreamError(DomainError):
    """More than one stream has an id that begins so; give more of it."""


class UnknownActorError(DomainError):
    """There is nobody of that name or id."""


class UnknownKindError(DomainError):
    """This server does not know what kind of thing the stream is about."""


class VersionNotFoundError(DomainError):
    """The stream has no such version."""


class EventLine(msgspec.Struct, frozen=True, kw_only=True):
    """
    An event in its envelope, as it is shown.

    ``data`` is what the event itself says. It is null where the event cannot be read:
    ``status`` says whether it was erased, or is unreadable for a ``reason``.
    """

    log: Log
    position: int
    stream: UUID
    version: int
    at: datetime
    tag: str
    status: Literal["readable", "unreadable", "erased"] = "readable"
    data: dict[str, Json] | None
    reason: str | None = None
    metadata: Mapping[str, Any]


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream came to at a version, which was recorded ``at``."""

    kind: str
    stream: UUID
    version: int
    at: datetime
    state: dict[str, Json]


class Events:
    """Ask for events by what is known of them, or for the state they made."""

    def __init__(self, store: EventStore, browser: Browser, claims: Claims) -> None:
        self._store = store
        self._browser = browser
        self._claims = claims

    async def find(
        self, log: Log, wanted: Wanted, *, after: int, limit: int, upto: int | None
    ) -> Found:
        """Look for events after a position: a piece of the log, not all of it."""
        check_tag(wanted.tag)
        return await self._browser.forwards(
            log, wanted, after=after, upto=upto, limit=limit
        )

    async def find_last(
        self, log: Log, wanted: Wanted, *, before: int | None, limit: int
    ) -> Found:
        """Look back for events, the last ones first."""
        check_tag(wanted.tag)
        return await self._browser.backwards(log, wanted, before=before, limit=limit)

    async def span(self, log: Log, wanted: Wanted) -> tuple[int, int]:
        """Return the positions between which the wanted moments lie, as of now."""
        begin, end = await self._browser.span(log, wanted)
        return begin, min(end, getattr(await self._store.head(), log))

    async def actor_called(self, name: str) -> UUID:
        """Return who is meant by a user's name or id; ``system`` has zeros."""
        if name == "system":
            return SYSTEM_ID
        holder = await self._claims.holder("username", name)
        if holder is not None:
            return holder
        try:
            return UUID(name)
        except ValueError:
            raise UnknownActorError(name) from None

    async def stream_like(self, words: str) -> UUID:
        """Return the one stream whose id is, or begins with, what was given."""
        digits = words.replace("-", "").lower()
        if not _DIGITS.fullmatch(digits) or len(digits) < SHORTEST_ID:
            raise NotAStreamError(words)
        first, last = (UUID(digits.ljust(32, digit)) for digit in "0f")
        found = await self._browser.streams_like(first, last, limit=2)
        if not found:
            raise StreamNotFoundError(words)
        if len(found) > 1:
            raise AmbiguousStreamError(", ".join(map(str, found)))
        return found[0]

    async def state(
        self, stream: UUID, *, version: int | None = None, at: datetime | None = None
    ) -> StreamState:
        """Return what a stream came to as of a version, or of a moment."""
        first = await self._first(stream)
        kind = context_of(line_of(first).tag)
        if kind not in AGGREGATES:
            raise UnknownKindError(kind)
        if version is not None and version < first.version:
            raise VersionNotFoundError(f"it begins at {first.version}")
        if at is not None and at < first.at:
            raise VersionNotFoundError(
                f"it begins on {first.at:%Y-%m-%d at %H:%M:%S} UTC"
            )
        loaded = await self._store.load(
            AGGREGATES[kind], stream, version=version, at=at
        )
        [last] = await self._store.read_stream(
            first.log, stream, after=loaded.version - 1, limit=1
        )
        if version is not None and version > loaded.version:
            await self._refuse_beyond_end(first.log, loaded)
        return StreamState(
            kind=kind,
            stream=stream,
            version=loaded.version,
            at=last.at,
            state=state_of(loaded),
        )

    async def log_of(self, stream: UUID) -> Log:
        """Return which log a stream lies in."""
        return (await self._first(stream)).log

    async def _first(self, stream: UUID) -> Recorded:
        for log in LOGS:
            found = await self._store.read_stream(log, stream, limit=1)
            if found:
                return found[0]
        raise StreamNotFoundError(stream)

    async def _refuse_beyond_end(self, log: Log, loaded: Aggregate[Any]) -> None:
        later = await self._store.read_stream(
            log, loaded.id, after=loaded.version, limit=1
        )
        if not later:
            raise VersionNotFoundError(f"it ends at {loaded.version}")


def check_tag(tag: str | None) -> None:
    """Refuse what can be neither a tag nor the beginning of some."""
    if tag is not None and not _TAG.fullmatch(tag):
        raise NotATagError(tag)


def line_of(recorded: Recorded) -> EventLine:
    """Return an event as it is shown; what stands in for one shows which it was."""
    data: dict[str, Any] = msgspec.to_builtins(recorded.event)
    data.pop("$tag", None)
    tag = tag_of(type(recorded.event))
    shown: dict[str, Any] = {"tag": tag, "data": data}
    if context_of(tag) == _STAND_IN:
        shown = {
            "tag": data["event_tag"],
            "data": None,
            "status": tag.removeprefix(f"{_STAND_IN}."),
            "reason": data.get("reason"),
        }
    return EventLine(
        log=recorded.log,
        position=recorded.position,
        stream=recorded.stream,
        version=recorded.version,
        at=recorded.at,
        metadata=recorded.metadata,
        **shown,
    )


def state_of(aggregate: Aggregate[Any]) -> dict[str, Json]:
    """Return what an aggregate knows, as JSON; secrets are references in it."""
    known = {
        name: value
        for name, value in vars(aggregate).items()
        if not name.startswith("_") and name not in _NOT_STATE
    }
    state: dict[str, Json] = msgspec.to_builtins(known, str_keys=True)
    return state
