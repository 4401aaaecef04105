"""Dead letters: retried in order, skipped for good, and noticed by whoever leads."""

import asyncio
from collections.abc import Sequence
from typing import Any, override
from uuid import UUID, uuid4

import msgspec
import pytest

from application.ports import Recorded
from infrastructure.event_store.mapper import ErasedEvent
from projections.holders import leader_key
from projections.letters import DeadLetters, Outcome, Place
from projections.rebuild import rebuild
from projections.refusals import (
    BrokenTablesError,
    DeadLetterNotFoundError,
    OlderLeaderError,
    OtherVersionError,
    UnknownProjectionError,
)
from projections.rows import Rows
from projections.status import status
from tests.projections.journal import OWNER, Journal
from tests.projections.probe import Probe, ProbeViews, named, renamed

pytestmark = pytest.mark.server


@pytest.fixture
def views(journal: Journal) -> ProbeViews:
    return ProbeViews(journal.database.engine)


def cured() -> Probe:
    probe = Probe()
    probe.poisonous = False
    return probe


def letters(journal: Journal, probe: Probe | None = None) -> DeadLetters:
    return DeadLetters(journal.database, journal.store, [probe or cured()])


async def parked(journal: Journal, *names: str, stream: UUID = OWNER) -> Place:
    """Tell of a stream whose second event is poison, and then of *names*."""
    await journal.tell(stream, named("a"), renamed("poison"), *map(renamed, names))
    await journal.project(Probe())
    [letter] = await letters(journal).page()
    return letter.place


async def left(journal: Journal) -> int:
    told = await status(journal.database, journal.store)
    return sum(one.dead_letters for one in told)


async def test_a_retry_takes_the_event_and_all_that_waited_behind_it(
    journal: Journal, views: ProbeViews
) -> None:
    place = await parked(journal, "b", "c", "d")
    other = uuid4()
    await journal.tell(other, named("other"))
    await journal.project(Probe())

    outcome = await letters(journal).retry(place)

    assert outcome == Outcome(taken=4)
    assert await views.all() == {OWNER: ("d", 5), other: ("other", 1)}
    assert await left(journal) == 0
    await journal.tell(OWNER, renamed("e"))
    await journal.project(Probe())
    assert (await views.all())[OWNER] == ("e", 6)


async def test_what_fails_again_stays_held_and_is_counted(
    journal: Journal, views: ProbeViews
) -> None:
    place = await parked(journal, "b")
    before = await letters(journal).get(place)

    outcome = await letters(journal, Probe()).retry(place)

    assert outcome == Outcome(taken=0, stuck=2, reason="PoisonError: poison")
    after = await letters(journal).get(place)
    assert (before.tries, after.tries) == (3, 4)
    assert await views.all() == {OWNER: ("a", 1)}


async def test_another_poison_behind_the_first_holds_the_stream_there(
    journal: Journal, views: ProbeViews
) -> None:
    class Fussy(Probe):
        """Takes poison, but not all of it."""

        @override
        def fold(self, batch: Sequence[Recorded], rows: Rows) -> None:
            self.poisonous = any(
                getattr(one.event, "name", "") == "poison two" for one in batch
            )
            super().fold(batch, rows)

    place = await parked(journal, *"bcdefgh", "poison two", "z")
    outcome = await letters(journal, Fussy()).retry(place)

    assert outcome == Outcome(taken=8, stuck=10, reason="PoisonError: poison two")
    [letter] = await letters(journal).page()
    assert (letter.position, letter.version, letter.tries) == (10, 10, 1)
    assert letter.reason == "PoisonError: poison two"
    assert await views.all() == {OWNER: ("h", 9)}
    assert await letters(journal).retry(letter.place) == Outcome(taken=2)
    assert await views.all() == {OWNER: ("z", 11)}


async def test_a_skipped_event_is_left_out_for_good(
    journal: Journal, views: ProbeViews
) -> None:
    place = await parked(journal, "b", "c")

    outcome = await letters(journal).skip(place, "Nobody needs it.")

    assert outcome == Outcome(taken=2)
    assert await views.all() == {OWNER: ("c", 3)}
    await rebuild(journal.database, journal.store, cured())
    assert await views.all() == {OWNER: ("c", 3)}
    told = await status(journal.database, journal.store)
    assert {(one.generation, one.log, one.skipped) for one in told if one.skipped} == {
        (1, "core", 1),
        (2, "core", 1),
    }


async def test_a_held_event_of_somebody_erased_is_passed_over(
    journal: Journal, views: ProbeViews, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await parked(journal, "b", "c")
    read_log, read_stream = journal.store.read_log, journal.store.read_stream

    def forgotten(recorded: Recorded) -> Recorded:
        gone = ErasedEvent(event_tag="project.renamed", subject=OWNER)
        erased = recorded.position in {2, 3}
        return msgspec.structs.replace(recorded, event=gone) if erased else recorded

    async def log(*given: Any, **more: Any) -> list[Recorded]:
        return [forgotten(one) for one in await read_log(*given, **more)]

    async def stream(*given: Any, **more: Any) -> list[Recorded]:
        return [forgotten(one) for one in await read_stream(*given, **more)]

    monkeypatch.setattr(journal.store, "read_log", log)
    monkeypatch.setattr(journal.store, "read_stream", stream)

    assert await letters(journal, Probe()).retry(place) == Outcome(taken=1)
    assert await views.all() == {OWNER: ("c", 2)}


async def test_poison_with_nothing_behind_it_can_be_skipped(
    journal: Journal, views: ProbeViews
) -> None:
    place = await parked(journal)
    assert await letters(journal, Probe()).skip(place, "-") == Outcome(taken=0)
    await journal.tell(OWNER, renamed("after"))
    await journal.project(Probe())
    assert await views.all() == {OWNER: ("after", 2)}


async def test_who_leads_elsewhere_takes_up_a_stream_that_was_let_go(
    journal: Journal, views: ProbeViews
) -> None:
    place = await parked(journal, "b")
    async with journal.followed_by(Probe()) as daemon:
        await journal.tell(OWNER, renamed("held"))
        assert await daemon.reached(journal.position, within=30)
        assert await views.all() == {OWNER: ("a", 1)}

        await letters(journal).retry(place)

        assert await views.all() == {OWNER: ("held", 4)}
        for name in ("c", "d"):
            await journal.tell(OWNER, renamed(name))
            assert await daemon.reached(journal.position, within=30)
            assert (await views.all())[OWNER][0] == name
    assert await views.all() == {OWNER: ("d", 6)}


async def test_a_stream_let_go_while_it_grows_loses_and_doubles_nothing(
    stored_journal: Journal,
) -> None:
    journal, views = stored_journal, ProbeViews(stored_journal.database.engine)
    streams = [uuid4() for _ in range(6)]
    for stream in streams:
        await journal.tell(stream, named("a"), renamed("poison"))
    grown = 40
    async with journal.followed_by(Probe()) as daemon:

        async def grow(stream: UUID) -> None:
            for number in range(grown):
                await journal.tell(stream, renamed(str(number)))

        async def let_go() -> None:
            assert await daemon.reached(journal.position, within=30)
            kept = letters(journal)
            for letter in await kept.page():
                await kept.retry(letter.place)

        await asyncio.gather(let_go(), *map(grow, streams))
        await let_go()
        assert await daemon.reached(journal.position, within=30)
        last = (str(grown - 1), grown + 2)
        assert await views.all() == dict.fromkeys(streams, last)


async def test_any_number_may_retry_at_once_in_one_process(journal: Journal) -> None:
    """More than there are connections: the one whose turn it is needs a second."""
    streams = [uuid4() for _ in range(12)]
    for stream in streams:
        await journal.tell(stream, named("poison"), renamed("b"))
    await journal.project(Probe())
    kept = letters(journal)
    found = await kept.page()

    async with asyncio.timeout(30):
        done = await asyncio.gather(*(kept.retry(one.place) for one in found))

    assert done == [Outcome(taken=2)] * len(streams)


async def test_two_who_retry_at_once_take_each_event_once(
    journal: Journal, views: ProbeViews
) -> None:
    place = await parked(journal, *"bcdefghijklmnop")

    done = await asyncio.gather(
        *(letters(journal).retry(place) for _ in range(3)), return_exceptions=True
    )

    assert sum(one.taken for one in done if isinstance(one, Outcome)) >= 1
    assert all(isinstance(one, Outcome | DeadLetterNotFoundError) for one in done)
    assert await left(journal) == 0
    assert await views.all() == {OWNER: ("p", 17)}


async def test_a_letter_tells_what_waits_behind_it(stored_journal: Journal) -> None:
    place = await parked(stored_journal, "b", "c")
    kept = letters(stored_journal)
    letter = await kept.get(place)
    recorded = await kept.event(letter)

    assert str(place) == "probe/core/2"
    assert Place.of("probe/core/2") == place
    assert (letter.tag, letter.version, letter.waiting) == ("project.renamed", 2, 2)
    assert recorded.event == renamed("poison")


async def test_letters_are_paged_by_place(journal: Journal) -> None:
    streams = [uuid4() for _ in range(5)]
    for stream in streams:
        await journal.tell(stream, named("poison"))
    await journal.project(Probe())
    kept = letters(journal)
    first = await kept.page(limit=2)
    rest = await kept.page(after=first[-1].place, only="probe")

    assert [letter.position for letter in (*first, *rest)] == [1, 2, 3, 4, 5]
    with pytest.raises(UnknownProjectionError):
        await kept.page(only="nothing")


async def test_what_is_not_there_cannot_be_retried(journal: Journal) -> None:
    place = await parked(journal)
    kept = letters(journal)
    for wrong in (
        place._replace(position=1),
        place._replace(position=0),
        place._replace(log="runs"),
    ):
        with pytest.raises(DeadLetterNotFoundError):
            await kept.retry(wrong)
        with pytest.raises(DeadLetterNotFoundError):
            await kept.skip(wrong, "-")
    with pytest.raises(UnknownProjectionError):
        await kept.retry(place._replace(projection="nothing"))
    for words in ("probe", "probe/core", "probe/core/x", "probe/other/1", "a/core/²"):
        with pytest.raises(DeadLetterNotFoundError):
            Place.of(words)


async def test_tables_of_another_version_are_left_alone(journal: Journal) -> None:
    class Newer(Probe):
        version = 2

    place = await parked(journal)
    with pytest.raises(OtherVersionError):
        await letters(journal, Newer()).retry(place)


async def test_a_release_that_would_not_notice_is_not_worked_behind(
    journal: Journal,
) -> None:
    place = await parked(journal)
    async with journal.database.pool.connection() as unnamed:
        await unnamed.execute("SET application_name = ''")
        await unnamed.execute("SELECT pg_advisory_lock(%s)", (leader_key("probe"),))
        with pytest.raises(OlderLeaderError):
            await letters(journal).retry(place)
        await unnamed.execute("SELECT pg_advisory_unlock_all()")
    assert await letters(journal).retry(place) == Outcome(taken=1)


async def test_a_retry_without_tables_says_so(journal: Journal) -> None:
    place = await parked(journal)
    async with journal.database.pool.connection() as connection:
        await connection.execute("DROP TABLE rm_probe_v1.probes CASCADE")
    with pytest.raises(BrokenTablesError):
        await letters(journal).retry(place)
    assert (await letters(journal).get(place)).tries == 3
