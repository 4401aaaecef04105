"""Somebody seals history, whoever comes and goes."""

import asyncio
from datetime import UTC, datetime

import pytest

from infrastructure.evidence.sealer import Sealer
from infrastructure.keyring import Keyring
from tests.contracts.event_stores import Named
from tests.infrastructure.evidence_room import KEYS, SECRET, Room

pytestmark = pytest.mark.server


async def test_the_sealer_stays_behind_the_head_and_seals_the_rest_at_the_end(
    room: Room,
) -> None:
    sealer = Sealer(room.database.dsn, KEYS.sign_history, interval=0.01)
    await room.append(Named.called("a"))
    await sealer.start()
    async with asyncio.timeout(30):
        while (await room.verify()).unsealed:
            await asyncio.sleep(0.01)
    await sealer.stop()

    slow = Sealer(room.database.dsn, KEYS.sign_history, interval=60)
    await slow.start()
    await room.append(Named.called("b"))
    await asyncio.sleep(0.1)
    assert (await room.verify()).unsealed == 1
    await slow.stop()

    assert (await room.verify()).unsealed == 0
    assert not await room.findings()


async def test_it_is_told_since_when_events_wait_for_their_seal(room: Room) -> None:
    assert await room.evidence.waiting_since() is None
    await room.append(Named.called("a"))
    await room.tamper("UPDATE es.core_events SET recorded_at = '2025-01-01Z'")
    since = await room.evidence.waiting_since()
    assert since == datetime(2025, 1, 1, tzinfo=UTC)

    await room.seal()

    assert await room.evidence.waiting_since() is None


async def test_one_sealer_seals_while_others_stand_by(room: Room) -> None:
    await room.append(Named.called("a", "b"))
    first, second = (Sealer(room.database.dsn, KEYS.sign_history) for _ in range(2))

    assert await first.seal() == 2
    await room.append(Named.called("c"))
    assert await second.seal() == 0
    await first.close()
    # PostgreSQL takes a moment to see that the first has gone.
    async with asyncio.timeout(30):
        while not await second.seal():
            await asyncio.sleep(0.01)
    await second.close()

    assert not await room.findings()


async def test_the_sealer_survives_the_loss_of_its_connection(room: Room) -> None:
    sealer = Sealer(room.database.dsn, KEYS.sign_history, interval=0.01)
    await sealer.start()
    await room.append(Named.called("a"))
    async with asyncio.timeout(30):
        while (await room.verify()).unsealed:
            await asyncio.sleep(0.01)
    await room.ask(
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l JOIN pg_database AS d"
        " ON d.oid = l.database WHERE l.locktype = 'advisory' AND l.granted"
        f" AND l.objid = {0x6C627365} AND d.datname = current_database()"
    )
    await room.append(Named.called("b"))
    async with asyncio.timeout(30):
        while (await room.verify()).unsealed:
            await asyncio.sleep(0.01)
    await sealer.stop()

    assert not await room.findings()


async def test_the_role_that_serves_may_only_add_to_history(room: Room) -> None:
    await room.filled("a")
    tables = ("core_events", "runs_events", "segments", "archives")
    forbidden = [
        *(f"DELETE FROM es.{table}" for table in tables),
        *(f"TRUNCATE es.{table}" for table in tables),
        *(f"DROP TABLE es.{table}" for table in tables),
        "UPDATE es.core_events SET state = state",
        "UPDATE es.runs_events SET notification_id = 1",
        "UPDATE es.segments SET chain = chain",
        "UPDATE es.archives SET address = address",
        "DELETE FROM es.runs_events_threads",
        "UPDATE es.runs_events_default SET state = state",
        "ALTER TABLE es.core_events DISABLE TRIGGER ALL",
        "CREATE TABLE es.evil ()",
    ]

    assert await room.refused(forbidden) == forbidden


def test_a_signature_is_of_one_key() -> None:
    other = Keyring("the key of another installation, also long")

    assert KEYS.sign_history(b"x") != other.sign_history(b"x")
    assert KEYS.sign_history(b"x") == Keyring(SECRET).sign_history(b"x")
