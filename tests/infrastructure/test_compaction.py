"""Old sayings of threads move to archives, and no position is looked at twice."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.thread.events import MessagePosted, ThreadOpened, ThreadRenamed
from infrastructure.archive import leaving
from tests.contracts.event_stores import OWNER, because
from tests.infrastructure.archiving import FLOW, LONG_AFTER, Store
from tests.projections.journal import RunsFacts, content

pytestmark = pytest.mark.server


def said() -> MessagePosted:
    return MessagePosted(
        message=uuid4(),
        flow=FLOW,
        session="s",
        sender="User",
        sender_name="User",
        category="message",
        content=content(),
    )


async def test_old_sayings_leave_a_thread_whose_versions_go_on(kept: Store) -> None:
    thread = UUID(int=0xFF << 120 | 7)
    await kept.tell(thread, ThreadOpened(flow=FLOW, session="s", owner=OWNER))
    await kept.tell(thread, said(), said(), ThreadRenamed(session="t"), said())
    await kept.age("2025-01-20")
    before = await kept.room.store.read_log("runs")
    assert await kept.archiver.compact(before=LONG_AFTER, cause=because()) is None
    await kept.room.seal()

    archive = await kept.archiver.compact(before=LONG_AFTER, cause=because())

    assert archive is not None
    assert (archive.runs, archive.events) == (1, 2)
    live = await kept.room.store.read_stream("runs", thread)
    assert [one.version for one in live] == [1, 4, 5]
    await kept.tell(thread, ThreadRenamed(session="u"))
    live = await kept.room.store.read_stream("runs", thread)
    assert [one.version for one in live] == [1, 4, 5, 6]
    assert (await kept.archived.read_log("runs"))[:5] == before
    assert not (await kept.room.evidence.verify())[1].found
    # What was the newest is not any more; that is seen when the moment moves on.
    assert await kept.archiver.compact(before=LONG_AFTER, cause=because()) is None
    later = LONG_AFTER + timedelta(days=30)
    again = await kept.archiver.compact(before=later, cause=because())
    assert again is not None
    assert again.events == 1
    assert await kept.archiver.compact(before=later, cause=because()) is None
    assert not (await kept.room.evidence.verify())[1].found


async def test_compaction_looks_once_at_what_stays_and_goes_on_with_what_is_sealed(
    kept: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "COMPACTED", 2)
    monkeypatch.setattr(leaving, "PAGE", 2)
    thread = UUID(int=0xFF << 120 | 8)
    asked: list[int] = []
    look = leaving.aged_events

    async def watched(*of: Any, **how: Any) -> Any:
        asked.append(how["after"])
        return await look(*of, **how)

    async def compacted() -> list[int]:
        found = []
        while one := await kept.archiver.compact(before=LONG_AFTER, cause=because()):
            found.append(one.events)
        return found

    monkeypatch.setattr("infrastructure.archive.archiver.aged_events", watched)
    await kept.tell(thread, ThreadOpened(flow=FLOW, session="s", owner=OWNER))
    for _ in range(2):
        await kept.tell(thread, *(said() for _ in range(6)))
        await kept.age("2025-01-20")
        await kept.room.seal()
        first = await compacted()
        assert not await compacted()
        # Positions 2 to 6 (7 stays, the newest), then 8 to 12 (13 stays).
        assert first == [2, 2, 1]
    assert asked == [0, 3, 5, 7, 7, 7, 9, 11, 13, 13]
    live = await kept.room.store.read_stream("runs", thread)
    assert [one.version for one in live] == [1, 7, 13]


async def test_a_compacted_thread_loads_at_its_version(kept: Store) -> None:
    await test_old_sayings_leave_a_thread_whose_versions_go_on(kept)

    loaded = await kept.room.store.load(RunsFacts, UUID(int=0xFF << 120 | 7))

    assert loaded.version == 6
    loaded.say(ThreadRenamed(session="v"))
    await kept.room.store.save(loaded, cause=because())
