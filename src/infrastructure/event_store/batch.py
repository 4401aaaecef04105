"""One transaction for many commands, each of which stands or falls alone."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.numeric import Int2, Int4, Int8

from application.ports import (
    ClaimTakenError,
    ConcurrencyError,
    IdempotencyKeyReusedError,
    Position,
    Saved,
)
from application.ports.refusals import SubjectErasedError
from domain.kernel import DomainError, Log
from infrastructure.event_store.attachments import ATTACHING, claim_rows
from infrastructure.event_store.command import NOTHING_ATTACHED, Command, position_in
from infrastructure.event_store.statements import LOCK_KEYS, SESSION, STATEMENTS

type Connection = AsyncConnection[tuple[Any, ...]]
type Outcome = Saved | DomainError


async def append(
    connection: Connection, log: Log, commands: Sequence[Command]
) -> list[Outcome]:
    """
    Write *commands* in order and return what each came to, once it is durable.

    They must touch disjoint things, for each is examined as if it were alone. All
    goes out in one round trip, so nobody waits for us while the lock is held.
    """
    statements = STATEMENTS[log]
    numbered = [(Int4(number), command) for number, command in enumerate(commands)]
    remembered = _remembered(numbered)
    rows = _rows(numbered)
    attaching = [pair for pair in numbered if pair[1].attached is not NOTHING_ATTACHED]
    appended = None
    async with connection.pipeline():
        await connection.execute("BEGIN")
        await _lock(connection, log)
        examined = await connection.execute(
            statements["examine"], _examination(numbered)
        )
        if rows:
            appended = await connection.execute(statements["append"], _columns(rows))
        for statement, rows_of in ATTACHING:
            attached = [
                (number, *row)
                for number, command in attaching
                for row in rows_of(command.attached)
            ]
            if attached:
                await connection.execute(statement, _columns(attached))
        if remembered:
            await connection.execute(statements["remember"], _columns(remembered))
        await connection.execute("COMMIT")
    verdicts = await examined.fetchall()
    positions: dict[UUID, int] = dict(await appended.fetchall()) if appended else {}
    return _outcomes(log, commands, verdicts, positions)


async def recognise(
    connection: Connection, log: Log, commands: Sequence[Command]
) -> dict[int, Saved]:
    """
    Tell which *commands* are in the log already, by their index.

    Asked when the connection broke before the answer came. Under the log's lock, so
    that a commit still under way has ended.
    """
    asked = [
        (
            Int4(number),
            command.parts[-1].stream,
            Int8(command.parts[-1].expected or 0),
            command.parts[-1].events[-1].state,
            command.metadata,
        )
        for number, command in enumerate(commands)
        if command.parts
    ]
    if not asked:
        return {}
    async with connection.transaction():
        await _lock(connection, log)
        found = await connection.execute(STATEMENTS[log]["recognise"], _columns(asked))
        return {
            number: Saved(position_in(log, position), commands[number].answer)
            for number, position in await found.fetchall()
        }


async def _lock(connection: Connection, log: Log) -> None:
    await connection.execute(SESSION["lock"], {"key": Int8(LOCK_KEYS[log])})


def _examination(numbered: Sequence[tuple[Int4, Command]]) -> dict[str, list[Any]]:
    keyed = [
        (number, command.cause.command_id, command.actor, command.cause.request_hash)
        for number, command in numbered
        if command.cause.idempotent
    ]
    expecting = [
        (number, part.stream, Int8(part.expected))
        for number, command in numbered
        for part in command.parts
        if part.expected is not None
    ]
    sealing = [
        (number, subject)
        for number, command in numbered
        for subject in command.subjects()
    ]
    claiming, releasing = (
        [
            (number, *row)
            for number, command in numbered
            for row in claim_rows(getattr(command.attached, name))
        ]
        for name in ("claims", "released")
    )
    return {
        **_named(("keyed", "ids", "actors", "hashes"), keyed),
        **_named(("sealing", "subjects"), sealing),
        **_named(("expecting", "streams", "expected"), expecting),
        **_named(("claiming", "kinds", "keys", "holders"), claiming),
        **_named(("releasing", "free_kinds", "free_keys", "free_holders"), releasing),
    }


def _rows(numbered: Sequence[tuple[Int4, Command]]) -> list[tuple[Any, ...]]:
    return [
        (
            number,
            part.stream,
            None if part.expected is None else Int8(part.expected),
            Int8(nth),
            event.tag,
            Int2(event.schema_version),
            event.state,
            command.metadata,
            event.subject,
        )
        for number, command in numbered
        for part in command.parts
        for nth, event in enumerate(part.events, 1)
    ]


def _remembered(numbered: Sequence[tuple[Int4, Command]]) -> list[tuple[Any, ...]]:
    return [
        (
            number,
            command.cause.command_id,
            command.actor,
            command.cause.request_hash,
            command.answer,
            command.parts[-1].stream if command.parts else None,
        )
        for number, command in numbered
        if command.cause.idempotent
    ]


def _outcomes(
    log: Log,
    commands: Sequence[Command],
    verdicts: Sequence[tuple[Any, ...]],
    positions: dict[UUID, int],
) -> list[Outcome]:
    claims = [claim for command in commands for claim in command.attached.claims]
    refusals: dict[int, Outcome] = {}
    for number, verdict, nth, answer, position in verdicts:
        match verdict:
            case "repeated":
                at = position_in(log, position)
                refusals[number] = Saved(at, answer, repeated=True)
            case "reused":
                refusals[number] = IdempotencyKeyReusedError()
            case "erased":
                refusals.setdefault(number, SubjectErasedError())
            case "moved":
                refusals.setdefault(number, ConcurrencyError())
            case "taken":
                refusals.setdefault(number, ClaimTakenError(claims[nth - 1]))
            case _:  # the row that is there when nothing is refused
                pass
    return [
        refusals.get(number) or Saved(_last(log, command, positions), command.answer)
        for number, command in enumerate(commands)
    ]


def _last(log: Log, command: Command, positions: dict[UUID, int]) -> Position:
    if not command.parts:
        return Position()
    return position_in(log, max(positions[part.stream] for part in command.parts))


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _named(
    names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> dict[str, list[Any]]:
    columns = _columns(rows) if rows else [[] for _ in names]
    return dict(zip(names, columns, strict=True))
