"""The event store that forgets when the process ends, with the rules of the real."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, takewhile
from typing import Any, override
from uuid import UUID

import msgspec

from application.ports import (
    Attached,
    Canvas,
    Cause,
    Claim,
    Claims,
    ClaimTakenError,
    ConcurrencyError,
    Content,
    EventStore,
    IdempotencyKeyReusedError,
    Lease,
    Leases,
    Owned,
    Ownership,
    Position,
    Recorded,
    Saved,
    Sealed,
    StreamNotFoundError,
)
from application.ports.refusals import SubjectErasedError
from domain.kernel import Aggregate, Json, Log
from infrastructure.event_store.command import (
    NOBODY,
    Command,
    compose,
    position_in,
    read_metadata,
    settle,
)
from infrastructure.event_store.mapper import MsgspecMapper
from infrastructure.event_store.sealing import SealingMapper, Stored, replayable
from infrastructure.subject_keys import MemorySubjectKeys

TAKEN_LIMIT = 10_000


class _Row(msgspec.Struct, frozen=True):
    stream: UUID
    version: int
    position: int
    at: datetime
    encoded: Stored
    metadata: bytes


class _Answered(msgspec.Struct, frozen=True):
    request_hash: bytes
    saved: Saved


class MemoryClaims(Claims):
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], UUID] = {}

    @override
    async def holder(self, kind: str, key: str) -> UUID | None:
        return self.rows.get((kind, key))

    @override
    async def taken(self, kind: str, prefix: str) -> list[Claim]:
        keys = (key for of, key in self.rows if of == kind and key.startswith(prefix))
        first = sorted(keys)[:TAKEN_LIMIT]
        return [Claim(kind, key, self.rows[kind, key]) for key in first]

    @override
    async def any_of(self, kind: str, prefixes: Collection[str]) -> list[str]:
        return [prefix for prefix in prefixes if await self.taken(kind, prefix)]


class MemoryOwnership(Ownership):
    def __init__(self) -> None:
        self.rows: dict[UUID, Owned] = {}

    @override
    async def of(self, resource: UUID) -> Owned | None:
        return self.rows.get(resource)

    @override
    async def of_each(self, resources: Sequence[UUID]) -> list[Owned]:
        return [self.rows[one] for one in set(resources) if one in self.rows]

    @override
    async def in_project(self, project: UUID, kind: str) -> list[UUID]:
        return sorted(
            owned.resource
            for owned in self.rows.values()
            if owned.project == project and owned.kind == kind
        )


class MemoryLeases(Leases):
    def __init__(self) -> None:
        self.rows: dict[UUID, Lease] = {}

    @override
    async def renew(
        self, worker: str, runs: Sequence[UUID], *, until: datetime
    ) -> set[UUID]:
        held = {
            run for run in runs if run in self.rows and self.rows[run].worker == worker
        }
        for run in held:
            self.rows[run] = msgspec.structs.replace(self.rows[run], expires_at=until)
        return held

    @override
    async def expired(self, *, now: datetime, limit: int = 100) -> list[Lease]:
        stale = (lease for lease in self.rows.values() if lease.expires_at < now)
        return sorted(stale, key=lambda lease: lease.expires_at)[:limit]


class MemoryCanvas(Canvas):
    def __init__(self) -> None:
        self.rows: dict[UUID, dict[str, Json]] = {}

    @override
    async def of_each(self, flows: Sequence[UUID]) -> dict[UUID, dict[str, Json]]:
        return {flow: self.rows[flow] for flow in flows if flow in self.rows}

    @override
    async def put(self, states: Mapping[UUID, dict[str, Json]]) -> None:
        self.rows.update(states)

    @override
    async def drop(self, flows: Sequence[UUID]) -> None:
        for flow in flows:
            self.rows.pop(flow, None)


class MemoryEventStore(EventStore):
    """Both logs and their side tables in lists and dicts, for fast tests."""

    def __init__(self, mapper: MsgspecMapper | None = None) -> None:
        self.claims = MemoryClaims()
        self.ownership = MemoryOwnership()
        self.leases = MemoryLeases()
        self.canvas = MemoryCanvas()
        self.content_rows: dict[UUID, Content] = {}
        self.vault_rows: dict[UUID, Sealed] = {}
        self.on_append: list[Callable[[Log, Position], None]] = []
        self.keys = MemorySubjectKeys()
        self._mapper = SealingMapper(mapper, self.keys)
        self._logs: dict[Log, list[_Row]] = {"core": [], "runs": []}
        self._streams: dict[tuple[Log, UUID], list[_Row]] = {}
        self._answered: dict[tuple[UUID, UUID], dict[Log, _Answered]] = {}

    async def start(self) -> None:
        """Nothing to start."""

    async def stop(self) -> None:
        """Nothing to stop."""

    @override
    async def load[A: Aggregate[Any]](
        self,
        kind: type[A],
        aggregate_id: UUID,
        *,
        version: int | None = None,
        at: datetime | None = None,
    ) -> A:
        stream = self._stream(kind.log, aggregate_id)
        rows = [row for row in stream if version is None or row.version <= version]
        if at is not None:
            rows = list(takewhile(lambda row: row.at <= at, rows))
        if not rows:
            raise StreamNotFoundError(aggregate_id)
        aggregate = kind(aggregate_id)
        rows_of = [replayable(row.encoded, row.version) for row in rows]
        if not await self._mapper.replay(aggregate, rows_of):
            raise StreamNotFoundError(aggregate_id)
        return aggregate

    @override
    async def load_each[A: Aggregate[Any]](
        self, kind: type[A], ids: Iterable[UUID]
    ) -> list[A]:
        return [await self.load(kind, one) for one in dict.fromkeys(ids)]

    @override
    async def save(
        self,
        *aggregates: Aggregate[Any],
        cause: Cause,
        attached: Attached | None = None,
        answer: bytes = b"",
        anywhere: Sequence[Aggregate[Any]] = (),
    ) -> Saved:
        command = compose(
            self._mapper,
            keys=await self._mapper.keys_to_seal((*aggregates, *anywhere)),
            expecting=aggregates,
            anywhere=anywhere,
            cause=cause,
            attached=attached,
            answer=answer,
        )
        repeat = self._repeat(command)
        if repeat is not None:
            return repeat
        self._check(command)
        saved = self._append(command)
        settle(command, (*aggregates, *anywhere))
        if saved.position != Position():
            for told in self.on_append:
                told(command.log, saved.position)
        return saved

    @override
    async def answered(self, cause: Cause) -> Saved | None:
        if not cause.idempotent:
            return None
        key = (cause.command_id, cause.actor.user or NOBODY)
        before = list(self._answered.get(key, {}).values())
        if any(one.request_hash != cause.request_hash for one in before):
            raise IdempotencyKeyReusedError
        return before[0].saved if before else None

    @override
    async def outcome(self, cause: Cause) -> Saved | None:
        return await self.answered(cause)  # nothing is ever under way

    @override
    async def read_stream(
        self, log: Log, stream: UUID, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        later = (row for row in self._stream(log, stream) if row.version > after)
        return await self._recorded(log, list(islice(later, limit)))

    @override
    async def read_log(
        self, log: Log, *, after: int = 0, limit: int = 1000
    ) -> list[Recorded]:
        return await self._recorded(log, self._logs[log][after:][:limit])

    @override
    async def head(self) -> Position:
        return Position(len(self._logs["core"]), len(self._logs["runs"]))

    async def _recorded(self, log: Log, rows: Sequence[_Row]) -> list[Recorded]:
        keys = await self._mapper.keys_to_open({row.encoded.subject for row in rows})
        return [
            Recorded(
                log=log,
                stream=row.stream,
                version=row.version,
                position=row.position,
                at=row.at,
                event=self._mapper.read(row.stream, row.encoded, keys),
                metadata=read_metadata(row.metadata),
            )
            for row in rows
        ]

    def _stream(self, log: Log, stream: UUID) -> list[_Row]:
        return self._streams.get((log, stream), [])

    def _repeat(self, command: Command) -> Saved | None:
        if not command.cause.idempotent:
            return None
        before = self._answered.get((command.cause.command_id, command.actor), {})
        wanted = command.cause.request_hash
        if any(one.request_hash != wanted for one in before.values()):
            raise IdempotencyKeyReusedError
        return before[command.log].saved if command.log in before else None

    def _check(self, command: Command) -> None:
        if any(self.keys.erased(subject) for subject in command.subjects()):
            raise SubjectErasedError
        for part in command.parts:
            current = _version_of(self._stream(command.log, part.stream))
            if part.expected is not None and part.expected != current:
                raise ConcurrencyError
        released = {_named(claim): claim.holder for claim in command.attached.released}
        for claim in command.attached.claims:
            holder = self.claims.rows.get(_named(claim))
            if holder not in (None, claim.holder, released.get(_named(claim))):
                raise ClaimTakenError(claim)

    def _append(self, command: Command) -> Saved:
        log, at = self._logs[command.log], datetime.now(UTC)
        for part in command.parts:
            stream = self._streams.setdefault((command.log, part.stream), [])
            for encoded in part.events:
                row = _Row(
                    stream=part.stream,
                    version=_version_of(stream) + 1,
                    position=len(log) + 1,
                    at=at,
                    encoded=encoded,
                    metadata=command.metadata,
                )
                log.append(row)
                stream.append(row)
        self._attach(command.attached)
        saved = Saved(
            position_in(command.log, len(log)) if command.parts else Position(),
            command.answer,
        )
        if command.cause.idempotent:
            key = (command.cause.command_id, command.actor)
            self._answered.setdefault(key, {})[command.log] = _Answered(
                command.cause.request_hash,
                msgspec.structs.replace(saved, repeated=True),
            )
        return saved

    def _attach(self, attached: Attached) -> None:
        for claim in attached.released:
            if self.claims.rows.get(_named(claim)) == claim.holder:
                del self.claims.rows[_named(claim)]
        self.claims.rows |= {_named(claim): claim.holder for claim in attached.claims}
        for rows, gone in (
            (self.ownership.rows, attached.disowned),
            (self.content_rows, attached.forgotten),
            (self.vault_rows, attached.destroyed),
            (self.leases.rows, attached.unleased),
        ):
            _remove(rows, gone)
        self.ownership.rows |= {owned.resource: owned for owned in attached.owned}
        for content in attached.contents:
            self.content_rows.setdefault(content.ref.id, content)
        for sealed in attached.secrets:
            self.vault_rows.setdefault(sealed.id, sealed)
        self.leases.rows |= {lease.run: lease for lease in attached.leases}


def _version_of(stream: Sequence[_Row]) -> int:
    return stream[-1].version if stream else 0


def _named(claim: Claim) -> tuple[str, str]:
    return (claim.kind, claim.key)


def _remove(rows: dict[UUID, Any], gone: Sequence[UUID]) -> None:
    for key in gone:
        rows.pop(key, None)
