"""Whatever somebody does to sealed history, verifying names it."""

from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from psycopg.rows import dict_row

from application.ports.evidence import Head
from domain.kernel import Log
from infrastructure.event_store.stored_event import StoredEvent
from infrastructure.evidence.sealer import Sealer
from infrastructure.evidence.segments import SEGMENTS, entries_in, entry_of
from infrastructure.keyring import Keyring
from tests.contracts.event_stores import Named, Talk
from tests.infrastructure.evidence_room import Room

pytestmark = pytest.mark.server


async def test_untouched_history_verifies_and_its_tail_is_counted(room: Room) -> None:
    await room.filled("a", "b", "c", "d")
    await room.append(Talk.opened(), Named.called("one", "two"))

    core, runs = await room.evidence.verify()

    assert (core.found, core.segments, core.events, core.unsealed) == (0, 3, 12, 2)
    assert (runs.found, runs.segments, runs.events, runs.unsealed) == (0, 0, 0, 1)


async def test_an_empty_history_verifies(room: Room) -> None:
    assert await room.seal() == 0
    assert not await room.findings(await room.evidence.head())


async def test_progress_is_told_up_to_all_events(room: Room) -> None:
    await room.filled("a", "b", "c", "d")
    await room.append(Talk.opened())
    await room.seal()
    told: list[tuple[int, int]] = []

    await room.evidence.verify(progress=lambda done, total: told.append((done, total)))

    assert told[-1] == (13, 13)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    "change",
    [
        "state = state || ' '::bytea",
        "metadata = '{}'",
        "topic = 'project.deleted'",
        "schema_version = 2",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "recorded_at = 'infinity'",
        "subject = '00000000-0000-0000-0000-000000000001'",
        "tenant = '00000000-0000-0000-0000-000000000001'",
    ],
)
async def test_a_changed_event_is_named(room: Room, change: str) -> None:
    [_, b, _] = await room.filled("a", "b", "c")
    [(position, *_)] = [row for row in await room.positions() if row[1:] == (b, 2)]

    sql = f"UPDATE es.core_events SET {change} WHERE originator_id = %s"
    await room.tamper(f"{sql} AND originator_version = 2", b)

    assert await room.told() == [("changed", position, b, 2)]


async def test_only_the_first_of_many_changes_comes_first(room: Room) -> None:
    await room.filled(*"abcdefgh", events=20)
    (position, stream, version), *_ = await room.positions()

    await room.tamper("UPDATE es.core_events SET state = '{}'")
    report = await room.verify()

    assert report.found == 160
    assert len(report.findings) == 100
    first = report.findings[0]
    assert (first.position, first.stream, first.version) == (position, stream, version)


@pytest.mark.parametrize(("nth", "version"), [(4, 2), (8, 3), (0, 1)])
async def test_a_removed_event_is_named(room: Room, nth: int, version: int) -> None:
    await room.filled("a", "b", "c")
    position, stream, _ = (await room.positions())[nth]

    await room.tamper("DELETE FROM es.core_events WHERE notification_id = %s", position)

    assert await room.told() == [("removed", position, stream, version)]


async def test_an_event_put_into_a_hole_is_named(room: Room) -> None:
    await room.filled("a")
    await room.ask("SELECT nextval('es.core_position')")
    await room.filled("b")
    last_of_a, first_of_b = (row[0] for row in (await room.positions())[2:4])
    assert first_of_b == last_of_a + 2
    stranger = uuid4()

    # As the role that serves: it may append, and so it may try to.
    await room.ask(
        "INSERT INTO es.core_events (originator_id, originator_version, topic,"
        " schema_version, state, metadata, notification_id)"
        " VALUES (%s, 1, 'project.opened', 1, '{}', '{}', %s) RETURNING 1",
        stranger,
        last_of_a + 1,
    )

    assert await room.told() == [("added", last_of_a + 1, stranger, 1)]


@pytest.mark.parametrize("position", [0, -5])
async def test_an_event_put_before_all_others_is_named(
    room: Room, position: int
) -> None:
    [a] = await room.filled("a")

    await room.tamper(
        "INSERT INTO es.core_events SELECT originator_id, 9, topic, schema_version,"
        " state, metadata, tenant, recorded_at, %s FROM es.core_events LIMIT 1",
        position,
    )

    assert await room.told() == [("added", position, a, 9)]


async def test_many_added_events_do_not_hide_what_was_sealed(room: Room) -> None:
    talks = [Talk.opened() for _ in range(3)]
    await room.append(*talks)
    await room.seal()
    [(position, *_), *_] = await room.positions("runs")

    # The log of runs lets two events have one position.
    await room.tamper(
        "INSERT INTO es.runs_events SELECT gen_random_uuid(), 1, topic, schema_version,"
        " state, metadata, tenant, recorded_at, %s FROM es.runs_events,"
        " generate_series(1, 400) LIMIT 400",
        position,
    )
    _, runs = await room.evidence.verify()

    assert runs.found >= 100
    assert runs.findings[0].kind == "added"
    assert runs.findings[0].position == position


async def test_swapped_events_are_named_with_both_places(room: Room) -> None:
    await room.filled("a", "b", "c")
    rows = await room.positions()
    (p, a, a_version), (q, c, c_version) = rows[1], rows[8]

    for old, new in ((p, -p), (q, p), (-p, q)):
        await room.tamper(
            "UPDATE es.core_events SET notification_id = %s WHERE notification_id = %s",
            new,
            old,
        )

    assert await room.told() == [("moved", p, a, a_version), ("moved", q, c, c_version)]
    first, second = await room.findings()
    assert f"moved to position {q}" in first.says
    assert f"moved to position {p}" in second.says


async def test_an_event_moved_beyond_the_head_is_named(room: Room) -> None:
    await room.filled("a", "b")
    p, stream, version = (await room.positions())[1]

    await room.tamper(
        "UPDATE es.core_events SET notification_id = 999 WHERE notification_id = %s", p
    )

    assert await room.told() == [("moved", p, stream, version)]


async def test_an_event_given_to_another_stream_is_named(room: Room) -> None:
    await room.filled("a", "b")
    p, stream, version = (await room.positions())[5]

    await room.tamper(
        "UPDATE es.core_events SET originator_id = %s WHERE notification_id = %s",
        uuid4(),
        p,
    )

    assert await room.told() == [("changed", p, stream, version)]


@pytest.mark.parametrize(
    ("number", "named"), [(1, "segments 1 to 1"), (2, "segments 2 to 2")]
)
async def test_a_removed_segment_is_named(room: Room, number: int, named: str) -> None:
    await room.filled(*"abcd")

    await room.tamper("DELETE FROM es.segments WHERE number = %s", number)
    [finding] = await room.findings()

    assert (finding.kind, finding.segment) == ("segment", number + 1)
    assert named in finding.says


@pytest.mark.parametrize(
    "change",
    [
        "last_position = last_position - 1",
        "first_position = first_position + 1",
        "count = count - 1",
        "events = substring(events FROM 1 FOR 100)",
        "events = set_byte(events, 3, 1)",
        "sealed_at = sealed_at - interval '1 day'",
    ],
)
async def test_an_edited_segment_is_named(room: Room, change: str) -> None:
    await room.filled(*"abcd")

    await room.tamper(f"UPDATE es.segments SET {change} WHERE number = 2")
    first, *_ = await room.findings()

    assert (first.kind, first.segment) == ("chain", 2)


async def test_who_changes_an_event_cannot_sign_for_it(room: Room) -> None:
    [a, *_] = await room.filled(*"abcd")
    await room.tamper(
        "UPDATE es.core_events SET state = '{}' WHERE originator_id = %s", a
    )
    await room.tamper("DELETE FROM es.segments")
    other = Sealer(
        room.database.migration_dsn, Keyring("another key" * 5).sign_history, largest=4
    )
    await other.seal()
    await other.close()

    told = [(one.kind, one.segment) for one in await room.findings()]

    assert told == [("signature", 1), ("signature", 2), ("signature", 3)]


async def test_a_truncated_history_is_known_by_a_kept_head(room: Room) -> None:
    await room.filled("a", "b")
    await room.filled("c", "d")
    head = await room.evidence.head()
    assert not await room.findings(head)

    await room.tamper("DELETE FROM es.segments WHERE number > 2")
    await room.tamper("DELETE FROM es.core_events WHERE notification_id > 6")

    assert not await room.findings()
    [finding] = await room.findings(head)
    assert (finding.kind, finding.segment) == ("truncated", head.core.number)


async def test_a_history_written_anew_is_known_by_a_kept_head(room: Room) -> None:
    await room.filled("a", "b")
    head = await room.evidence.head()

    # With the key too: only what is kept elsewhere tells.
    await room.tamper("UPDATE es.core_events SET metadata = '{}'")
    await room.tamper("DELETE FROM es.segments")
    await room.seal()

    assert not await room.findings()
    [finding] = await room.findings(head)
    assert finding.kind == "rewritten"


async def test_a_head_of_another_installation_is_told_from_truncation(
    room: Room,
) -> None:
    await room.filled("a", "b")
    head = await room.evidence.head()
    forged = msgspec.structs.replace(head.core, chain="zz", number=9)
    strange = Head(at=datetime.now(UTC), core=forged, runs=head.runs)

    [finding] = await room.findings(strange)

    assert finding.kind == "head"


async def test_a_head_still_fits_when_history_has_grown(room: Room) -> None:
    await room.filled("a")
    head = await room.evidence.head()
    await room.filled("b", "c")

    assert not await room.findings(head)


async def test_python_makes_the_entries_that_postgres_makes(room: Room) -> None:
    await room.append(Named.called("é\u0000", "b"), Talk.opened())
    await room.tamper(
        "UPDATE es.core_events SET subject = gen_random_uuid(), tenant = NULL"
        " WHERE originator_version = 2"
    )
    await room.seal()
    logs: tuple[Log, ...] = ("core", "runs")
    for log in logs:
        async with (
            room.database.pool.connection() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            await cursor.execute(
                "SELECT notification_id AS position, originator_id AS stream,"
                " originator_version AS version, topic AS tag, schema_version, state,"
                " metadata, subject,"
                " tenant, timestamptz_send(recorded_at) AS recorded_at"
                f" FROM es.{log}_events ORDER BY 1".encode()
            )
            rows = await cursor.fetchall()
        for row in rows:
            row["recorded_at"] = int.from_bytes(row["recorded_at"], signed=True)
        made = [entry_of(StoredEvent(**row)) for row in rows]
        [(packed,)] = await room.ask(
            f"SELECT events FROM es.segments WHERE log = '{log}'"
        )
        assert list(entries_in(packed)) == made


async def test_a_function_of_another_schema_cannot_stand_in(room: Room) -> None:
    [a] = await room.filled("a")
    await room.tamper("CREATE SCHEMA evil")
    await room.tamper(
        "CREATE FUNCTION evil.sha256(bytea) RETURNS bytea LANGUAGE sql"
        " AS 'SELECT pg_catalog.sha256(''always the same'')'"
    )
    await room.tamper("ALTER ROLE CURRENT_USER SET search_path = evil, pg_catalog")
    await room.tamper("UPDATE es.core_events SET state = '{}'")

    core, _ = await room.evidence_at(room.database.migration_dsn).verify()
    await room.tamper("ALTER ROLE CURRENT_USER RESET search_path")

    assert [one.stream for one in core.findings] == [a] * 3
    assert set(SEGMENTS) == {"core", "runs"}
